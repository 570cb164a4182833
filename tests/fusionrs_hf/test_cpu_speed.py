import os
import subprocess
import sys

import pytest

from fusionrs_hf.cpu_speed import CPU_ENVIRONMENT, free_cores

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="variables of glibc")
PLAIN = {name: value for name, value in os.environ.items() if name not in CPU_ENVIRONMENT}
START = """
import json, os, sys
from fusionrs_hf.cpu_speed import CPU_ENVIRONMENT, start_anew
print("begun", flush=True)
start_anew()
print(json.dumps([os.getpid(), sys.argv[1:], [os.environ[name] for name in sorted(CPU_ENVIRONMENT)]]))
"""


@pytest.mark.parametrize(("given", "starts"), [({}, 2), ({"OMP_WAIT_POLICY": "active"}, 2), (CPU_ENVIRONMENT, 1)])
def test_a_process_starts_again_once_and_what_is_set_stays(given, starts):
    command = [sys.executable, "-c", START, "a b", "--c"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=PLAIN | given)
    *begun, told = process.communicate()[0].splitlines()
    values = dict(sorted((CPU_ENVIRONMENT | given).items())).values()
    assert begun == ["begun"] * starts
    assert told == f'[{process.pid}, ["a b", "--c"], {list(values)}]'.replace("'", '"')


def test_cores_are_those_that_this_process_may_use():
    one = min(os.sched_getaffinity(0))
    told = [sys.executable, "-c", "from fusionrs_hf.cpu_speed import free_cores; print(free_cores())"]
    alone = subprocess.run(
        told, stdout=subprocess.PIPE, check=True, preexec_fn=lambda: os.sched_setaffinity(0, {one})
    ).stdout
    assert int(alone) == 1 <= free_cores() <= os.cpu_count()


@pytest.mark.parametrize(("verb", "anew"), [("train", True), ("build", False)])
def test_verbs_that_train_are_started_so_and_others_are_not(tmp_path, verb, anew):
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys\nfrom fusionrs_hf.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    print(os.environ.get('OMP_WAIT_POLICY'))\n"
    )
    command = [sys.executable, script, verb, "--help"]
    told = subprocess.run(command, check=True, capture_output=True, text=True, env=PLAIN).stdout
    assert told.splitlines()[-1] == ("passive" if anew else "None")
