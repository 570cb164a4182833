"""The folder of a training: ours by its manifest, held while it is written; checkpoints, each whole, and the model.

A run whose goal is reached and whose model is saved has nothing left to do. One that was stopped goes on from its last
checkpoint, if it is the same run. What the Trainer saves is made in `.work` and moved in once it is whole, so that the
Trainer neither deletes nor overwrites what a user has put beside.
"""

import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from accelerate.utils import broadcast_object_list
from torch import nn
from transformers import TrainingArguments
from transformers.trainer import TRAINING_ARGS_NAME

from fusionrs_hf.bounded_json import read_object
from fusionrs_hf.errors import InputError
from fusionrs_hf.output_folder import OutputFolder, files_below, manifest_of, writing
from fusionrs_hf.stops import stops_in_a_line
from training.trainers.checkpoints import checkpoint_step, last_whole_checkpoint
from training.trainers.refusing import RefusingTrainer
from training.trainers.run_record import RECORD, RunRecord, record_run

logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")

WORK = ".work"  # what is not whole yet; it is there only while the folder is not finished
SAVED, LAST, MODEL = f"{WORK}/checkpoints", f"{WORK}/last", f"{WORK}/model"
STAGE = "stage.json"  # makes the folder of a stage whole
STATE = "trainer_state.json"  # makes a checkpoint whole
SHOWN = 4  # names in a message


class RunFolder:
    """What a training has in its `output_dir`, and what is still to be done there.

    Of several processes the first alone reads and writes it; the others learn what it decides.

    Args:
        verb: That trains, such as `train clip`.
        arguments: The recipe's own dataclass, with `overwrite` and `keep_checkpoints`.
        training: The Trainer's arguments.
        splits: Of the dataset, that are read.
    """

    def __init__(self, verb: str, arguments: Any, training: TrainingArguments, splits: tuple[str, ...]) -> None:
        self.path, self.verb, self.overwrite = Path(training.output_dir), verb, bool(arguments.overwrite)
        self.keeps_checkpoints = bool(arguments.keep_checkpoints)
        self.leads = training.process_index == 0
        self.limit = training.save_total_limit
        self.record = self._agree(lambda: record_run(arguments, training, splits))
        self.output: OutputFolder | None = None
        self.added: list[str] = []

    @property
    def model_path(self) -> Path:
        """Where the model and all that goes with it are saved, to be moved in by `finish`."""
        return self.path / MODEL

    @property
    def last_checkpoint(self) -> str | None:
        """The checkpoint to go on from."""
        return last_whole_checkpoint(self.path)

    def is_finished(self) -> bool:
        """Returns whether this very run has left its model; all processes answer alike.

        Raises:
            InputError: The folder holds something else, or a run that this one is no continuation of.
        """
        done = self._agree(lambda: self._standing() == "finished")
        if done and self.leads:
            (goal,) = self.record.goal.items()
            logger.info("nothing to do: %s holds this run, finished at %s %g", self.path, *goal)
        return done

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Holds the folder while the run is trained and saved.

        Raises:
            InputError: As `is_finished`; another process holds the folder, or it cannot be written to.
            KeyboardInterrupt: It was interrupted; the text says whether the same command goes on.
        """
        with ExitStack() as held:
            held.enter_context(stops_in_a_line(self.path, self.verb, self.how_to_go_on))
            self._agree(lambda: self._begin(held))
            try:
                yield
            except KeyboardInterrupt:
                raise KeyboardInterrupt(self.how_to_go_on()) from None

    def how_to_go_on(self) -> str:
        """Returns what the same command does after a stop, as things stand."""
        command = "the same command without --overwrite" if self.overwrite else "the same command"
        if self.last_checkpoint:
            return f"{command} continues from {Path(self.last_checkpoint).name}"
        if stages := sorted(mark.parent.name for mark in self.path.glob(f"*/{STAGE}")):
            return f"{command} continues after the finished stages ({', '.join(stages)})"
        return "the same command starts anew, as no checkpoint is saved yet (save_strategy, save_steps)"

    def stage(self, name: str) -> dict[str, Any] | None:
        """Returns what a stage before the last told of itself when it was finished; None: it is still to be done."""

        def read() -> dict[str, Any] | None:
            mark = f"{name}/{STAGE}"
            if not self.output.has(mark):
                return None
            self.added += self.output.listed(name)
            return read_object(self.path / mark, "add --overwrite to start anew")

        return self._agree(read)

    def finish_stage(self, name: str, told: Mapping[str, Any]) -> None:
        """Moves a stage's folder in from `model_path`, and then the mark that it is finished, which `stage` reads."""

        def finish() -> None:
            for part in (self.path / MODEL / name, self.path / WORK / STAGE / name):
                part.mkdir(parents=True, exist_ok=True)
            (self.path / WORK / STAGE / name / STAGE).write_text(json.dumps(told, indent=1))
            self.output.delete(self.output.listed(name))  # of a stage that was stopped while it was moved in
            for source in (MODEL, f"{WORK}/{STAGE}"):
                self.added += files_below(self.path / source)
                self.output.move_in(self.path / source)

        self._agree(finish)

    def keep_checkpoint(self, best: str | None) -> None:
        """Moves a checkpoint in that is saved whole, and deletes those that are no longer kept.

        Args:
            best: Folder of the best one, which stays.
        """
        for state in (self.path / SAVED).glob(f"*/{STATE}"):
            last = self.path / LAST / state.parent.name / STATE
            last.parent.mkdir(parents=True, exist_ok=True)
            state.replace(last)
        for part in (SAVED, LAST):
            self.output.move_in(self.path / part)
            shutil.rmtree(self.path / part)
        self._drop_checkpoints(best)

    def finish(self, best: str | None = None) -> None:
        """Moves the model in and says that the run is over; only the first of several processes acts.

        Checkpoints go, unless they are to be kept; so no pickle is left.

        Args:
            best: Folder of the best checkpoint: where but one is kept, it is this.
        """
        if not self.leads:
            return
        for pickled in self.model_path.rglob(TRAINING_ARGS_NAME):  # of what the log tells
            pickled.unlink()
        names = {*files_below(self.model_path), *self.added}
        stale = [name for name in self.output.manifest.files if name not in names and not _is_kept(name)]
        self.output.move_in(self.model_path)
        self.output.delete(stale)  # of an earlier end of the same run
        self._drop_checkpoints(best, last=self.limit == 1 and best is not None)
        shutil.rmtree(self.path / WORK)
        self._finish_files()
        if not self.keeps_checkpoints:  # once the run is finished without them
            self._delete_checkpoints(self._checkpoint_files())
            self._finish_files()

    def _finish_files(self) -> None:
        self.output.finish(name for name in self.output.manifest.files if (self.path / name).is_file())

    def _standing(self) -> str:
        """Returns `new`, `begun` or `finished`: what is there of this run."""
        manifest = manifest_of(self.path, self.verb)
        if manifest is None or self.overwrite:
            return "new"
        whole = self.last_checkpoint
        if not manifest.finished and whole is None and not (self.path / RECORD).exists():
            return "new"  # killed before it had begun
        former = RunRecord.load(self.path)
        state = "a finished run" if manifest.finished else "the checkpoints of a run"
        differences = former.differences(self.record)
        if not manifest.finished and whole is None and (differences or former.goal != self.record.goal):
            return "new"  # it has left nothing
        if differences:
            raise InputError(
                f"{self.path} holds {state} that differs: {'; '.join(differences[:SHOWN])}; give another output_dir, "
                "or add --overwrite to start anew"
            )
        if goals := former.goal_difference(self.record):
            if not former.leads_to(self.record) or whole is None:
                reason = "does not lead there by its schedule"
                if former.leads_to(self.record):
                    reason = "left no checkpoint (--keep_checkpoints keeps them)"
                raise InputError(
                    f"{self.path} holds {state} with another goal ({goals}), which {reason}; give another output_dir, "
                    "or add --overwrite to start anew"
                )
            return "begun"
        return "finished" if manifest.finished else "begun"

    def _begin(self, held: ExitStack) -> None:
        self._standing()  # refuses what is of others before anything is written
        self.output = held.enter_context(writing(self.path, self.verb))
        standing, manifest = self._standing(), self.output.manifest  # somebody may have been first
        if standing == "finished":
            raise InputError(f"{self.path} was finished by another process meanwhile; there is nothing to do")
        work = self.path / WORK
        if work.is_symlink() or (manifest.finished and work.exists()):
            raise InputError(f"{work} is in the way and none of this run's; move it away")
        shutil.rmtree(work, ignore_errors=True)
        if standing == "new":
            self.output.make_way()
        self.output.reopen()
        self.output.list_files([RECORD])
        self.record.save(self.path)
        if standing == "begun" and self.last_checkpoint:
            logger.info("going on from %s", self.last_checkpoint)

    def _drop_checkpoints(self, best: str | None, last: bool = False) -> None:
        """Deletes the files of the oldest checkpoints beyond the limit; neither the newest nor the best.

        Args:
            best: Folder of the best.
            last: The newest may go as well.
        """
        steps = self._checkpoint_files()
        whole = sorted(step for step, names in steps.items() if f"checkpoint-{step}/{STATE}" in names)
        if not self.limit or self.limit < 0 or not whole:
            return
        kept = {checkpoint_step(Path(best).name)} & set(whole) if best else set()
        if not last or not kept:
            kept.add(whole[-1])
        room = max(0, self.limit - len(kept))
        others = [step for step in whole if step not in kept]
        kept |= set(others[max(0, len(others) - room) :])
        self._delete_checkpoints({step: names for step, names in steps.items() if step not in kept})

    def _checkpoint_files(self) -> dict[int, list[str]]:
        """Returns the names of this run's files in checkpoints, by step."""
        steps: dict[int, list[str]] = {}
        for name in self.output.manifest.files:
            if (step := checkpoint_step(name.split("/")[0])) is not None and (self.path / name).is_file():
                steps.setdefault(step, []).append(name)
        return steps

    def _delete_checkpoints(self, steps: Mapping[int, Sequence[str]]) -> None:
        self.output.delete(f"checkpoint-{step}/{STATE}" for step in steps)  # whole no longer, at once
        self.output.delete(name for names in steps.values() for name in names)

    def _agree(self, function: Callable[[], Answer]) -> Answer:
        """Returns what the first process gets, in all; an InputError of it is raised in all."""
        outcome: list[Any] = [None, None]
        if self.leads:
            try:
                with stops_in_a_line(self.path, self.verb, self.how_to_go_on):
                    outcome[0] = function()
            except InputError as error:
                outcome[1] = str(error)
        answer, refusal = broadcast_object_list(outcome)
        if refusal is not None:
            raise InputError(refusal)
        return answer


class KeptCheckpoints(RefusingTrainer):
    """A Trainer whose checkpoints a `RunFolder` keeps, and that takes no step beyond its goal.

    Args:
        *args, **kwargs: Of `Trainer`.
        run: Folder of the run; None: the Trainer's own way.
    """

    def __init__(self, *args: object, run: RunFolder | None = None, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.run = run

    def _get_output_dir(self, trial: object) -> str:
        return super()._get_output_dir(trial) if self.run is None else str(self.run.path / SAVED)

    def _save_checkpoint(self, model: nn.Module, trial: object) -> None:
        super()._save_checkpoint(model, trial)
        if self.run is None:
            return
        self.accelerator.wait_for_everyone()  # each process has saved its part
        if self.state.best_global_step:
            best = self.run.path / f"checkpoint-{self.state.best_global_step}"
            if best.is_dir() or self.state.best_global_step == self.state.global_step:
                self.state.best_model_checkpoint = str(best)
        if self.args.should_save:
            self.state.save_to_json(str(self.run.path / SAVED / f"checkpoint-{self.state.global_step}" / STATE))
            self.run.keep_checkpoint(self.state.best_model_checkpoint)
        self.accelerator.wait_for_everyone()

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        settle_tokenizer(self.processing_class)
        super()._save(output_dir, state_dict)

    def _run_epoch(self, *args: object, **kwargs: object) -> None:
        """As in `Trainer`, which would take a step before it looks whether the goal is reached."""
        if self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True
        else:
            super()._run_epoch(*args, **kwargs)


def settle_tokenizer(processor: Any) -> None:
    """Takes back what the last texts have set in a tokenizer, which would be saved and differ after a stop."""
    backend = getattr(getattr(processor, "tokenizer", processor), "backend_tokenizer", None)
    if backend is not None:
        backend.no_padding()
        backend.no_truncation()


def _is_kept(name: str) -> bool:
    return name == RECORD or checkpoint_step(name.split("/")[0]) is not None
