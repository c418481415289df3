"""nnU-Net's trainer for a given number of iterations on a processor; for nnunet.py."""

import math
import statistics
import time

import torch
from nnunetv2.inference.export_prediction import export_prediction_from_logits
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.inference.sliding_window_prediction import compute_steps_for_sliding_window
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

# nnU-Net's: as many steps of the learning rate, the share of a tile from one to the next.
STEPS, TILE_STEP = 1000, 0.5
WARM_UP, MEASURED = 1, 4


class BudgetTrainer(nnUNetTrainer):
    """Network, loss, optimiser, deep supervision, sampling and augmentation are nnU-Net's.

    Its polynomial schedule ends with the last iteration. There are no epochs of
    pseudo-Dice: they choose checkpoint_best, which nnU-Net does not predict with unless
    told to, and the time is better spent on iterations.
    """

    def set_length(self, iterations):
        """To be called before anything else; rounds down to whole steps of the rate."""
        self.num_iterations_per_epoch = math.ceil(iterations / STEPS)
        self.num_epochs = iterations // self.num_iterations_per_epoch

    def run_training(self):
        """Trains; returns the seconds of an iteration."""
        self.on_train_start()
        self.network.train()
        start = time.perf_counter()
        for epoch in range(self.num_epochs):
            self.lr_scheduler.step(epoch)
            losses = [self._iterate() for _ in range(self.num_iterations_per_epoch)]
            if epoch % max(1, self.num_epochs // 20) == 0 or epoch == self.num_epochs - 1:
                rate = self.optimizer.param_groups[0]["lr"]
                told = f"rate {rate:.5f} loss {statistics.mean(losses):.4f}"
                self.print_to_log_file(f"{epoch + 1}/{self.num_epochs} {told}")
        seconds = time.perf_counter() - start
        self.current_epoch = self.num_epochs
        self.on_train_end()
        return seconds / (self.num_epochs * self.num_iterations_per_epoch)

    def measure(self):
        """Seconds to start and stop, of an iteration, and of one tile; nothing is kept."""
        self.disable_checkpointing = True
        begin = time.perf_counter()
        self.on_train_start()
        start = time.perf_counter() - begin
        self.network.train()
        times = [timed(self._iterate) for _ in range(WARM_UP + MEASURED)]
        self.set_deep_supervision_enabled(False)
        self.network.eval()
        tile = torch.zeros(1, self.num_input_channels, *self.configuration_manager.patch_size)
        with torch.inference_mode():
            tiles = [timed(lambda: self.network(tile)) for _ in range(WARM_UP + MEASURED)]
        stop = timed(self.on_train_end)
        return {
            "start": start + stop,
            "iteration": statistics.median(times[WARM_UP:]),
            "iterations_measured": times,
            "tile": statistics.median(tiles[WARM_UP:]),
        }

    def tiles(self, ids):
        """Tiles in all that whole volumes of these subjects take, without mirrored ones."""
        patch = self.configuration_manager.patch_size
        dataset = self.dataset_class(self.preprocessed_dataset_folder, ids)
        count = 0
        for i in dataset.identifiers:
            shape = dataset.load_case(i)[0].shape[1:]
            padded = [max(s, p) for s, p in zip(shape, patch)]
            steps = compute_steps_for_sliding_window(padded, patch, TILE_STEP)
            count += math.prod(map(len, steps))
        return count

    def mirrored(self):
        """Predictions of a tile with mirroring, the plain one among them."""
        return 2 ** len(self.inference_allowed_mirroring_axes or ())

    def predict(self, ids, mirroring, folder):
        """Label maps `folder`/ID.nii.gz of whole volumes, by the last weights.

        Instead of perform_actual_validation, which always mirrors and starts processes.
        """
        self.set_deep_supervision_enabled(False)
        predictor = nnUNetPredictor(
            tile_step_size=TILE_STEP, use_mirroring=mirroring, device=self.device, allow_tqdm=False
        )
        predictor.manual_initialization(
            self.network, self.plans_manager, self.configuration_manager, None,
            self.dataset_json, type(self).__name__, self.inference_allowed_mirroring_axes,
        )  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        dataset = self.dataset_class(self.preprocessed_dataset_folder, ids)
        for i in dataset.identifiers:
            data, _, _, properties = dataset.load_case(i)
            logits = predictor.predict_sliding_window_return_logits(torch.from_numpy(data[:]))
            export_prediction_from_logits(
                logits, properties, self.configuration_manager, self.plans_manager,
                self.dataset_json, str(folder / i),
            )  # fmt: skip

    def _iterate(self):
        return float(self.train_step(next(self.dataloader_train))["loss"])


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
