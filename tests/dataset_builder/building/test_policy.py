import pytest

from dataset_builder.building.policy import is_kept, keep_policy
from dataset_builder.rights.table import folder_policy
from fusionrs_hf.errors import InputError
from fusionrs_hf.output_folder import writing


def test_a_recipes_policy_is_kept_in_the_folder_and_goes_with_it(tmp_path):
    out, policy = tmp_path / "out", tmp_path / "mine.yaml"
    policy.write_text("RSICD: {images: yes}")
    with writing(out, "build") as output:
        keep_policy(policy, output)
        assert folder_policy(out).get("RSICD").allows("images")
        assert is_kept(policy, out, output.manifest) and not is_kept(None, out, output.manifest)
        before = (out / "rights.yaml").stat().st_mtime_ns
        keep_policy(policy, output)
        assert (out / "rights.yaml").stat().st_mtime_ns == before
        policy.write_text("RSICD: {pictures: yes}")
        with pytest.raises(InputError, match="unknown key"):
            keep_policy(policy, output)
        assert folder_policy(out).get("RSICD").allows("images")
        keep_policy(None, output)
    assert not folder_policy(out).get("RSICD").allows("images")


def test_a_policy_of_the_user_stays(tmp_path):
    out, policy = tmp_path / "out", tmp_path / "mine.yaml"
    policy.write_text("RSICD: {images: yes}")
    with writing(out, "build") as output:
        (out / "rights.yaml").write_text("RSICD: {captions: yes}")
        keep_policy(None, output)
        with pytest.raises(InputError, match="did not write .rights.yaml"):
            keep_policy(policy, output)
    assert (out / "rights.yaml").read_text() == "RSICD: {captions: yes}"
