"""The equations of the losses in plain PyTorch, for loss_family.py.

Every function takes a `Batch`: probabilities p, log p (and log(1 - p) for
regions), reference r [class, n], weights w [n], and per-sample fields for
distances and lesions. n runs over the pooled elements.
"""

from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndi
import torch
import torch.nn.functional as F

SMOOTHING = 1e-8


@dataclass
class Batch:
    z: torch.Tensor  # [samples, classes, *grid]
    r: torch.Tensor  # the same shape
    w: torch.Tensor  # [samples, *grid]
    spacing: tuple
    sigmoid: bool = False

    def flat(self, x):
        return x.transpose(0, 1).flatten(1)

    @property
    def p_field(self):
        return torch.sigmoid(self.z) if self.sigmoid else torch.softmax(self.z, 1)

    @property
    def p(self):
        return self.flat(self.p_field)

    @property
    def log_p(self):
        return self.flat(F.logsigmoid(self.z) if self.sigmoid else torch.log_softmax(self.z, 1))

    @property
    def log_rest(self):
        return self.flat(F.logsigmoid(-self.z))

    @property
    def ref(self):
        return self.flat(self.r)

    @property
    def weight(self):
        return self.w.flatten()

    @property
    def n(self):
        return self.weight.sum()

    def members(self, classes):
        count = self.z.shape[1]
        return list(range(count)) if classes == "all" or self.sigmoid else list(range(1, count))


def counts(b):
    p, r, w = b.p, b.ref, b.weight
    return dict(tp=(w * p * r).sum(1), fp=(w * p * (1 - r)).sum(1), fn=(w * r * (1 - p)).sum(1),
                v=(w * r).sum(1), q=(w * p).sum(1), r2=(w * r * r).sum(1), p2=(w * p * p).sum(1))


def averaged(b, cost, classes="all", empty="share"):
    c = counts(b)
    terms = []
    for k in b.members(classes):
        if c["v"][k] == 0 and empty == "share":
            terms.append(c["q"][k] / b.n)
        elif c["v"][k] == 0 and empty == "skip":
            continue
        else:
            terms.append(cost(k, c))
    return torch.stack(terms).mean()


def guarded(x, gamma, least=1e-4):
    if gamma >= 1:
        return x**gamma
    return torch.where(x < least, x * least ** (gamma - 1), x.clamp(min=least) ** gamma)


def dice(form="plain", classes="all", empty_class="share", smoothing=SMOOTHING, class_weight=None):
    def loss(b):
        s = smoothing * b.n

        def cost(k, c):
            if form == "plain":
                return 1 - (2 * c["tp"][k] + s) / (c["v"][k] + c["q"][k] + s)
            if form == "squared":
                return 1 - (2 * c["tp"][k] + s) / (c["r2"][k] + c["p2"][k] + s)
            return 1 - (c["tp"][k] + s) / (c["v"][k] + c["q"][k] - c["tp"][k] + s)

        return averaged(b, cost, classes, empty_class)

    return loss


def tversky_index(c, k, alpha, beta, s):
    return (c["tp"][k] + s) / (c["tp"][k] + alpha * c["fp"][k] + beta * c["fn"][k] + s)


def tversky(alpha=0.3, beta=0.7, gamma=None, classes="all"):
    def loss(b):
        s = SMOOTHING * b.n

        def cost(k, c):
            distance = 1 - tversky_index(c, k, alpha, beta, s)
            return distance if gamma is None else guarded(distance, gamma)

        return averaged(b, cost, classes)

    return loss


def log_dice(gamma=1.0, classes="all"):
    def loss(b):
        c, s = counts(b), SMOOTHING * b.n
        terms = []
        for k in b.members(classes):
            if c["v"][k] == 0:
                score = (b.n - c["q"][k] + s) / (b.n + s)
            else:
                score = (2 * c["tp"][k] + s) / (c["v"][k] + c["q"][k] + s)
            terms.append(guarded(-score.log(), gamma))
        return torch.stack(terms).mean()

    return loss


def exponential_logarithmic(gamma=0.3):
    def loss(b):
        v = counts(b)["v"]
        a = torch.where(v > 0, (b.n / v.clamp(min=1e-300)).sqrt(), torch.zeros_like(v))
        entropy = (b.weight * a[:, None] * b.ref * guarded(-b.log_p, gamma)).sum() / b.n
        return 0.8 * log_dice(gamma)(b) + 0.2 * entropy

    return loss


def unified_focal(weight=0.5, delta=0.6, gamma=0.5):
    def loss(b):
        background = (1 - delta) * b.ref[0] * (1 - b.p[0]) ** gamma * -b.log_p[0]
        foreground = delta * (b.ref[1:] * -b.log_p[1:]).sum(0)
        focal = (b.weight * (background + foreground)).sum() / b.n

        def cost(k, c):
            distance = 1 - tversky_index(c, k, 1 - delta, delta, SMOOTHING * b.n)
            return distance if k == 0 else guarded(distance, 1 - gamma)

        return weight * focal + (1 - weight) * averaged(b, cost)

    return loss


def distance_matrix(classes):
    index = np.arange(classes)
    matrix = np.abs(index[:, None] - index[None]) / (classes - 1)
    return matrix.tolist()


def wasserstein(distance=None, weighting="default"):
    def loss(b):
        classes = b.z.shape[1]
        m = torch.tensor(distance) if distance else 1 - torch.eye(classes)
        m = m / m.max()
        delta = torch.einsum("ln,lc,cn->n", b.ref, m, b.p)
        v = counts(b)["v"]
        if weighting == "default":
            right = (b.weight * (b.ref * m[0][:, None]).sum(0) * (1 - delta)).sum()
            # With soft labels the true positive of each label has its own error.
            by_label = torch.einsum("lc,cn->ln", m, b.p)
            right = (b.weight * (b.ref * m[0][:, None] * (1 - by_label)).sum(0)).sum()
            wrong = (b.weight * delta).sum()
            if v[1:].sum() == 0:
                return wrong / b.n
            return 1 - 2 * right / (2 * right + wrong)
        a = torch.where(v > 0, 1 / v.clamp(min=1e-300), torch.zeros_like(v))
        by_label = torch.einsum("lc,cn->ln", m, b.p)
        right = (b.weight * (b.ref * a[:, None] * (1 - by_label)).sum(0)).sum()
        whole = (b.weight * (b.ref * a[:, None] * (2 - by_label)).sum(0)).sum()
        return 1 - 2 * right / whole

    return loss


def matthews(classes="foreground", e=1e-6):
    def loss(b):
        def cost(k, c):
            n = b.n
            tn = n - c["v"][k] - c["fp"][k]
            m = (c["tp"][k] * tn - c["fp"][k] * c["fn"][k]) / n**2
            v = c["v"][k] * (n - c["v"][k]) / n**2
            q = c["q"][k] * (n - c["q"][k]) / n**2
            return 1 - m / v * (1 + e) ** 0.5 / (q / v + e).sqrt()

        return averaged(b, cost, classes)

    return loss


def sensitivity_specificity(lam=0.05):
    def loss(b):
        first = 0 if b.sigmoid else 1
        terms = []
        for k in range(first, b.z.shape[1]):
            r, p, s = b.ref[k], b.p[k], SMOOTHING * b.n
            inside = (b.weight * r * (1 - p) ** 2).sum() / ((b.weight * r).sum() + s)
            outside = (b.weight * (1 - r) * p**2).sum() / ((b.weight * (1 - r)).sum() + s)
            terms.append(lam * inside + (1 - lam) * outside)
        return torch.stack(terms).mean()

    return loss


def focal(gamma=2.0, alpha=None, classes="all"):
    def loss(b):
        members = b.members(classes)
        if b.sigmoid:
            hit, rest = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
            terms = hit * b.ref * (1 - b.p) ** gamma * -b.log_p + rest * (1 - b.ref) * b.p**gamma * -b.log_rest
            return (b.weight * terms[members]).sum() / b.n / len(members)
        factor = torch.ones(b.z.shape[1])
        if alpha is not None:
            factor[:] = alpha
            factor[0] = 1 - alpha
        terms = factor[:, None] * b.ref * (1 - b.p) ** gamma * -b.log_p
        return (b.weight * terms[members]).sum() / b.n

    return loss


def top_k(share):
    def loss(b):
        entropy = (b.ref * -b.log_p).sum(0)[b.weight > 0]
        k = share * entropy.numel()
        ordered = entropy.sort(descending=True).values
        whole = int(k)
        total = ordered[:whole].sum()
        if whole < k:
            total = total + (k - whole) * ordered[whole]
        return total / k

    return loss


def lovasz(classes="all"):
    def loss(b):
        keep = b.weight > 0
        terms = []
        for k in b.members(classes):
            r, p = b.ref[k][keep], b.p[k][keep]
            if r.sum() == 0:
                terms.append(p.sum() / b.n)
                continue
            errors, order = (r - p).abs().sort(descending=True)
            r = r[order]
            intersection = r.sum() - r.cumsum(0)
            union = r.sum() + (1 - r).cumsum(0)
            jaccard = 1 - intersection / union
            steps = torch.cat([jaccard[:1], jaccard[1:] - jaccard[:-1]])
            terms.append((errors * steps).sum())
        return torch.stack(terms).mean()

    return loss


def signed_distance(mask, spacing):
    """Positive outside, negative inside; the diagonal where there is no boundary."""
    mask = np.asarray(mask)
    diagonal = np.sqrt(sum((n * s) ** 2 for n, s in zip(mask.shape, spacing)))
    if not mask.any():
        return np.full(mask.shape, diagonal)
    if mask.all():
        return np.full(mask.shape, -diagonal)
    outside = ndi.distance_transform_edt(~mask, sampling=spacing)
    return outside - ndi.distance_transform_edt(mask, sampling=spacing)


def distances(b):
    mask = (b.r >= 0.5) & (b.w[:, None] > 0)
    maps = [[signed_distance(c, b.spacing) for c in sample] for sample in mask.numpy()]
    return torch.tensor(np.array(maps))


def boundary(classes="foreground"):
    def loss(b):
        members = b.members(classes)
        return (b.weight * b.p * b.flat(distances(b)))[members].sum() / b.n / len(members)

    return loss


def hausdorff(alpha=2.0, classes="foreground", both=True):
    def loss(b):
        members = b.members(classes)
        weights = distances(b).abs() ** alpha
        if both:
            for i, sample in enumerate(b.p_field.detach().numpy()):
                for k, p in enumerate(sample):
                    mask = p > 0.5
                    if mask.any() and not mask.all():
                        weights[i, k] += torch.tensor(np.abs(signed_distance(mask, b.spacing)) ** alpha)
        terms = b.flat((b.p_field - b.r) ** 2 * weights)
        return (b.weight * terms)[members].sum() / b.n / len(members)

    return loss


def distance_cross_entropy(factor=1.0, scale=5.0, near=True):
    def loss(b):
        d = distances(b).abs().min(1).values.flatten() / scale
        penalty = torch.exp(-d) if near else d.clamp(max=1.0)
        return (b.weight * (1 + factor * penalty) * (b.ref * -b.log_p).sum(0)).sum() / b.n

    return loss


def erode(x):
    pools = [-F.max_pool3d(-x, k, 1, p) for k, p in (((3, 1, 1), (1, 0, 0)), ((1, 3, 1), (0, 1, 0)), ((1, 1, 3), (0, 0, 1)))]
    return torch.min(torch.min(pools[0], pools[1]), pools[2])


def opened(x):
    return F.max_pool3d(erode(x), 3, 1, 1)


def skeleton(x, iterations):
    result = F.relu(x - opened(x))
    for _ in range(iterations):
        x = erode(x)
        lost = F.relu(x - opened(x))
        result = result + F.relu(lost - result * lost)
    return result


def cl_dice(iterations=3, classes="foreground", smoothing=1e-6):
    def loss(b):
        inside = (b.w > 0).double()[:, None]
        p, r = b.p_field * inside, b.r * inside
        s = smoothing * b.n
        terms = []
        for k in b.members(classes):
            w, pk, rk = b.w[:, None], p[:, k : k + 1], r[:, k : k + 1]
            if (w * rk).sum() == 0:
                terms.append((w * pk).sum() / b.n)
                continue
            sp, sr = skeleton(pk, iterations), skeleton(rk, iterations)
            precision = ((w * sp * rk).sum() + s) / ((w * sp).sum() + s)
            sensitivity = ((w * sr * pk).sum() + s) / ((w * sr).sum() + s)
            terms.append(1 - 2 * precision * sensitivity / (precision + sensitivity))
        return torch.stack(terms).mean()

    return loss


def lesions(b):
    """Component numbers per sample, of what is not background."""
    lesion = (b.r[:, 1:].max(1).values > b.r[:, 0]) & (b.w > 0)
    return [torch.tensor(ndi.label(m, structure=np.ones((3, 3, 3)))[0]) for m in lesion.numpy()]


def size_reweighted(inner):
    def loss(b):
        numbers, w = lesions(b), b.w.clone()
        components = [(i, k) for i, m in enumerate(numbers) for k in range(int(m.max()) + 1)]
        components = [(i, k) for i, k in components if b.w[i][numbers[i] == k].sum() > 0]
        for i, k in components:
            part = numbers[i] == k
            w[i][part] = b.w[i][part] * b.n / len(components) / b.w[i][part].sum()
        return inner(Batch(b.z, b.r, w.float().double(), b.spacing, b.sigmoid))

    return loss


def blob(inner, global_factor=2.0, lesion_factor=1.0):
    def loss(b):
        terms = []
        for i, numbers in enumerate(lesions(b)):
            for k in range(1, int(numbers.max()) + 1) if numbers.max() > 0 else [0]:
                w = torch.where((numbers == 0) | (numbers == k), b.w[i], torch.zeros_like(b.w[i]))
                terms.append(inner(Batch(b.z[i : i + 1], b.r[i : i + 1], w[None], b.spacing, b.sigmoid)))
        return global_factor * inner(b) + lesion_factor * torch.stack(terms).mean()

    return loss


def cross_entropy(b):
    return (b.weight * (b.ref * -b.log_p).sum(0)).sum() / b.n


ALL = {"soft", "weights", "sigmoid"}
EXCLUSIVE = {"soft", "weights"}


def losses():
    """Configuration, equation, and what it honours."""
    three = distance_matrix(3)
    yield {"name": "dice"}, dice(), ALL
    yield {"name": "dice", "form": "squared", "classes": "foreground"}, dice("squared", "foreground"), ALL
    yield {"name": "dice", "form": "jaccard", "empty_class": "skip", "smoothing": 1e-3}, dice("jaccard", "all", "skip", 1e-3), ALL
    yield {"name": "tversky"}, tversky(), ALL
    yield {"name": "focal-tversky", "classes": "foreground"}, tversky(gamma=0.75, classes="foreground"), ALL
    yield {"name": "log-dice", "gamma": 0.5}, log_dice(0.5), ALL
    yield {"name": "exponential-logarithmic"}, exponential_logarithmic(), EXCLUSIVE
    yield {"name": "unified-focal"}, unified_focal(), EXCLUSIVE
    yield {"name": "generalised-wasserstein-dice"}, wasserstein(), EXCLUSIVE
    yield {"name": "generalised-wasserstein-dice", "distance": three}, wasserstein(three), EXCLUSIVE
    yield {"name": "generalised-wasserstein-dice", "weighting": "generalised-dice"}, wasserstein(weighting="generalised-dice"), EXCLUSIVE
    yield {"name": "matthews"}, matthews(), ALL
    yield {"name": "sensitivity-specificity"}, sensitivity_specificity(), ALL
    yield {"name": "focal"}, focal(), ALL
    yield {"name": "focal", "gamma": 0.5, "alpha": 0.25, "classes": "foreground"}, focal(0.5, 0.25, "foreground"), ALL
    yield {"name": "top-k-cross-entropy", "share": 0.23}, top_k(0.23), {"soft"}
    yield {"name": "lovasz"}, lovasz(), {"sigmoid"}
    yield {"name": "boundary"}, boundary(), ALL
    yield {"name": "hausdorff"}, hausdorff(), ALL
    yield {"name": "hausdorff", "alpha": 1.5, "distance": "reference", "classes": "all"}, hausdorff(1.5, "all", False), ALL
    yield {"name": "distance-cross-entropy"}, distance_cross_entropy(), EXCLUSIVE
    yield {"name": "distance-cross-entropy", "emphasis": "far", "factor": 2.0, "scale_mm": 2.0}, distance_cross_entropy(2.0, 2.0, False), EXCLUSIVE
    yield {"name": "cl-dice"}, cl_dice(), ALL
    yield {"name": "cl-dice", "iterations": 1, "classes": "all"}, cl_dice(1, "all"), ALL
    yield {"name": "size-reweighted"}, size_reweighted(cross_entropy), EXCLUSIVE
    yield {"name": "blob"}, blob(dice()), EXCLUSIVE
    terms = [{"factor": 0.5, "loss": {"name": "dice"}}, {"factor": 2.0, "loss": {"name": "boundary"}}]
    yield {"name": "sum", "terms": terms}, lambda b: 0.5 * dice()(b) + 2.0 * boundary()(b), ALL


def runner(function, given, dress, reduction):
    """A function of the logits, with what the dress adds."""
    labels, classes = given["labels"], given["logits"].shape[1]
    hot = F.one_hot(labels, classes).movedim(-1, 1).double()
    r = {"soft": given["soft"], "regions": given["regions"]}.get(dress, hot)
    w = torch.ones(labels.shape)
    if dress == "weights":
        w = given["weights"]
    if dress == "mask":
        w = (given["weights"] > 0).double()

    def run(z):
        if reduction == "batch":
            return function(Batch(z, r, w, given["spacing"], dress == "regions"))
        each = [
            function(Batch(z[i : i + 1], r[i : i + 1], w[i : i + 1], given["spacing"], dress == "regions"))
            for i in range(len(z))
        ]
        values = torch.stack(each)
        return values if reduction == "none" else values.mean()

    return run
