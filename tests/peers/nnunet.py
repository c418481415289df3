"""nnU-Net against `lacuna auto`: same folds, same cores, same wall time. Not run in CI.

    python3 -m venv VENV && VENV/bin/pip install torch==2.13.0 nnunetv2==2.8.1   # 5.4 GB
    VENV/bin/python tests/peers/nnunet.py dataset.toml AUTO WORK [--lacuna BINARY]

AUTO is the folder of a finished `lacuna auto` of dataset.toml (a file, or its folder).
Writes to WORK:

    nnUNet_raw, nnUNet_preprocessed, nnUNet_results   nnU-Net's own folders
    labels/ID.nii.gz    label maps of the held-out subjects, class indices of dataset.toml
    race.json           seconds of each step, speeds, lengths, versions, processor
    evaluation/, comparison/   by `lacuna evaluate` and `lacuna compare`, with --lacuna

Called again, it goes on with the first step that has not ended; a step that was broken
off begins anew, and what it had taken counts as nothing. What is equal and what is not
in this race: README.md beside this file.
"""

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from nnunet_data import ENDING, Dataset, collect, read_json, write_json, write_raw

STARTED = time.perf_counter()
CONFIGURATION = "3d_fullres"
STEPS = ["convert", "plan", "measure", "train"]
# Of the time: what is kept back, and the most that mirrored predictions may take.
KEPT, MIRRORING = 0.02, 0.25
PACKAGES = ["nnunetv2", "torch", "dynamic-network-architectures", "batchgeneratorsv2"]


def main():
    arguments = parse()
    dataset, auto = Dataset(arguments.dataset), Auto(arguments.auto)
    keep_to_cores(auto.threads)
    folder = f"Dataset001_{re.sub('[^A-Za-z0-9]+', '_', dataset.name)}"
    race = Race(arguments, auto, dataset)
    set_environment(race.work, auto.threads)
    steps = [
        ("convert", write_raw, dataset, auto.folds, race.work / "nnUNet_raw" / folder),
        ("plan", plan, race, arguments),
        ("measure", measure, race, auto, folder),
    ]
    for name, work, *its in steps:
        race.step(name, work, *its)
        if name == arguments.until:
            return
    for fold in range(len(auto.folds)):
        race.step(f"fold-{fold}", train, race, auto, folder, fold)
    predicted = {i: race.predicted(k) / f"{i}{ENDING}" for k, i in auto.held_out()}
    collect(dataset, predicted, race.work / "labels")
    conclude(race, auto, dataset, arguments.lacuna)


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", help="manifest, or its folder")
    parser.add_argument("auto", type=Path, help="folder of a finished `lacuna auto`")
    parser.add_argument("work", type=Path, help="folder to work in")
    parser.add_argument("--until", choices=STEPS, default="train", help="last step to do")
    parser.add_argument("--seconds", type=float, help="default: what AUTO took")
    parser.add_argument("--planner", default="ExperimentPlanner", help="default: %(default)s")
    parser.add_argument("--memory", type=float, default=1, help="GB to plan for; default: 1")
    parser.add_argument("--iterations", type=int, help="of each fold, whatever they take; to try")
    parser.add_argument("--lacuna", help="binary to score both with")
    arguments = parser.parse_args()
    # Told now, not after hours.
    if arguments.lacuna and not shutil.which(arguments.lacuna):
        parser.error(f"--lacuna {arguments.lacuna} is no program")
    return arguments


class Auto:
    """What `lacuna auto` has left."""

    def __init__(self, folder):
        if not (folder / "evaluation").is_dir():
            sys.exit(f"{folder}: no finished `lacuna auto`, for it has no evaluation")
        self.folder = folder
        self.seconds = read_json(folder / "clock.json")["seconds"]
        self.folds = read_json(folder / "splits_final.json")
        if not self.folds:
            sys.exit(f"{folder}: no subject was held out, so nothing can be compared")
        self.made = self.evaluation("tuned")["provenance"]
        self.threads = self.made["threads"]
        ids = [i for _, i in self.held_out()]
        if len(set(ids)) < len(ids):
            sys.exit(f"{folder}: a subject is held out in two folds; which is to be scored?")

    def held_out(self):
        return [(k, i) for k, fold in enumerate(self.folds) for i in fold["val"]]

    def evaluation(self, kind):
        return read_json(self.folder / "evaluation" / kind / "summary.json")


class Race:
    """WORK/race.json: what was asked, what is done, and what it took."""

    def __init__(self, arguments, auto, dataset):
        self.work = arguments.work.resolve()
        self.path = self.work / "race.json"
        self.work.mkdir(parents=True, exist_ok=True)
        asked = {
            "dataset": str(dataset.path.resolve()),
            "auto": str(arguments.auto.resolve()),
            "seconds": arguments.seconds or auto.seconds,
            "planner": arguments.planner,
            "memory_gb": arguments.memory,
            "iterations": arguments.iterations,
        }
        made = {
            "processor": processor(),
            "cores": auto.threads,
            "python": platform.python_version(),
            **{package: version(package) for package in PACKAGES},
            "lacuna": f"{auto.made['version']} ({auto.made['commit'][:7]})",
        }
        self.record = {"asked": asked, "made": made, "spent": {}, "speed": {}, "trainings": []}
        if self.path.exists():
            self.record = read_json(self.path)
            if self.record["asked"] != asked:
                sys.exit(f"{self.path} is of another race: {self.record['asked']}, not {asked}")
        self.asked, self.speed = self.record["asked"], self.record["speed"]
        # The imports before the first step count too.
        self.since = STARTED

    def step(self, name, work, *its):
        """Does the step unless it is done, and writes down what it took."""
        if name in self.record["spent"]:
            return
        print(f"{name} ...", flush=True)
        self.record["spent"][name] = 0.0
        work(*its)
        now = time.perf_counter()
        self.record["spent"][name] = now - self.since
        self.since = now
        write_json(self.record, self.path)
        print(f"{name}: {self.record['spent'][name]:.0f} s, {self.left():.0f} s left", flush=True)

    def spent(self):
        """Seconds of all steps but the conversion, which Lacuna has no need of."""
        return sum(s for name, s in self.record["spent"].items() if name != "convert")

    def left(self):
        """Seconds from now on, without those kept back."""
        running = time.perf_counter() - self.since
        return self.asked["seconds"] * (1 - KEPT) - self.spent() - running

    def predicted(self, fold):
        return self.work / "predicted" / f"fold-{fold}"


def set_environment(work, threads):
    """Before nnU-Net is imported. One process augments while the cores train."""
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        os.environ[name] = str(work / name)
        (work / name).mkdir(exist_ok=True)
    os.environ["nnUNet_n_proc_DA"] = "1"
    os.environ["nnUNet_def_n_proc"] = str(threads)
    os.environ["nnUNet_compile"] = "false"
    os.environ["OMP_NUM_THREADS"] = str(threads)


def keep_to_cores(count):
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < count:
        sys.exit(f"`lacuna auto` ran on {count} threads, and here are {len(cores)} cores")
    os.sched_setaffinity(0, cores[:count])


def plan(race, arguments):
    from nnunetv2.experiment_planning import plan_and_preprocess_api as api

    threads = race.record["made"]["cores"]
    api.extract_fingerprints([1], num_processes=threads)
    plans = api.plan_experiments([1], arguments.planner, arguments.memory)
    race.record["plans"] = plans
    api.preprocess([1], plans, (CONFIGURATION,), (threads,))


def trainer_of(race, folder, fold, iterations):
    import torch
    from nnunet_trainer import BudgetTrainer

    torch.set_num_threads(race.record["made"]["cores"])
    preprocessed = race.work / "nnUNet_preprocessed" / folder
    plans = read_json(preprocessed / f"{race.record['plans']}.json")
    if CONFIGURATION not in plans["configurations"]:
        sys.exit(f"nnU-Net plans no {CONFIGURATION} for this dataset, which is 2-D")
    plans["continue_training"] = False
    description = read_json(preprocessed / "dataset.json")
    trainer = BudgetTrainer(plans, CONFIGURATION, fold, description, torch.device("cpu"))
    trainer.set_length(iterations)
    return trainer


def measure(race, auto, folder):
    """Speeds, and whether predictions are mirrored, from a network that is thrown away."""
    trainer = trainer_of(race, folder, 0, 1)
    race.speed.update(trainer.measure())
    race.record["tiles"] = [trainer.tiles(fold["val"]) for fold in auto.folds]
    configuration = trainer.configuration_manager
    race.record["patch"], race.record["batch"] = configuration.patch_size, configuration.batch_size
    mirrored = sum(race.record["tiles"]) * trainer.mirrored() * race.speed["tile"]
    race.record["mirroring"] = mirrored <= MIRRORING * race.left()
    race.record["passes_per_tile"] = trainer.mirrored() if race.record["mirroring"] else 1
    print(
        f"patch {configuration.patch_size}, batch {configuration.batch_size}: "
        f"{race.speed['iteration']:.2f} s an iteration, {race.speed['tile']:.2f} s a tile, "
        f"{sum(race.record['tiles'])} tiles; mirroring {race.record['mirroring']}"
    )


def train(race, auto, folder, fold):
    """Trains for this fold's share of the time, and predicts its held-out subjects."""
    record, speed = race.record, race.speed
    iterations = race.asked["iterations"] or share(race, fold)
    trainer = trainer_of(race, folder, fold, iterations)
    print(f"fold {fold}: {iterations} iterations", flush=True)
    begin = time.perf_counter()
    speed["iteration"] = trainer.run_training()
    trained = time.perf_counter()
    trainer.predict(auto.folds[fold]["val"], record["mirroring"], race.predicted(fold))
    predicting = time.perf_counter() - trained
    speed["tile"] = predicting / record["tiles"][fold] / record["passes_per_tile"]
    done = {
        "fold": fold,
        "iterations": trainer.num_epochs * trainer.num_iterations_per_epoch,
        "seconds_per_iteration": speed["iteration"],
        "training": trained - begin,
        "predicting": predicting,
    }
    record["trainings"].append(done)


def share(race, fold):
    """Iterations that fit: each training that is left gets as much time as the others."""
    tiles, speed = race.record["tiles"], race.speed
    predicting = sum(tiles[fold:]) * race.record["passes_per_tile"] * speed["tile"]
    training = (race.left() - predicting) / (len(tiles) - fold) - speed["start"]
    iterations = int(training / speed["iteration"])
    if iterations < 1:
        sys.exit(
            f"fold {fold}: {race.left():.0f} s are left, of which predictions need "
            f"{predicting:.0f}, and an iteration takes {speed['iteration']:.1f} s; give --seconds"
        )
    return iterations


def conclude(race, auto, dataset, binary):
    """Scores both by Lacuna and prints what they did."""
    ids = [i for _, i in auto.held_out()]
    labels, scores, comparison = (race.work / d for d in ("labels", "evaluation", "comparison"))
    ours = auto.folder / "tuned"
    common = ["--dataset", str(dataset.path), *(f"--subjects={i}" for i in ids), "--force"]
    evaluate = ["evaluate", "--predictions", str(labels), "--out", str(scores), *common]
    compare = ["compare", str(labels), str(ours), "--names", "nnU-Net,Lacuna"]
    compare += ["--out", str(comparison), *common]
    if not binary:
        print("score them with --lacuna BINARY, or by")
        for command in (evaluate, compare):
            print("  lacuna", *command)
        return
    for command in (evaluate, compare):
        subprocess.run([binary, *command], check=True)

    made, trainings = race.record["made"], race.record["trainings"]
    rows = [("nnU-Net", read_json(scores / "summary.json"), race.spent())]
    rows += [(f"Lacuna, {k}", auto.evaluation(k), auto.seconds) for k in ("untuned", "tuned")]
    print(f"\n{', '.join(f'{name} {value}' for name, value in made.items())}")
    print(f"{len(ids)} held-out subjects; nnU-Net: patch {race.record['patch']}, batch "
          f"{race.record['batch']}, mirroring {race.record['mirroring']}, iterations "
          f"{[t['iterations'] for t in trainings]}")  # fmt: skip
    print(f"{'':18}{'class':16}{'DSC':>8}{'lesion F1':>11}{'seconds':>9}")
    for name, evaluation, seconds in rows:
        for of in evaluation["summary"]["classes"]:
            mean = {m["metric"]: m["mean"] for m in of["metrics"]}
            scored = f"{mean['dsc']:8.4f}{mean['lesion_f1']:11.4f}"
            print(f"{name:18}{of['class']:16}{scored}{seconds:9.0f}")


def processor():
    """Its name, for two races are compared on one alone."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
