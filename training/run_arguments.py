"""What every recipe that trains may say of the folder of its run; `trainers/run_folder.py` does it."""

KEEP_CHECKPOINTS = {
    "help": "Leave checkpoints in the finished run: they hold pickles, and a higher goal goes on from them."
}
OVERWRITE = {"help": "Start anew: replace what an earlier run has left in output_dir, no more."}
HANDLING = ("overwrite", "keep_checkpoints")  # the fields that say it, and change no weight
