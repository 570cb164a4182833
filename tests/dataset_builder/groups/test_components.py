import numpy as np

from dataset_builder.groups.components import merge


def test_merge_follows_chains_and_keeps_what_is_joined():
    labels = merge(np.array([0, 1, 2, 3, 4, 4], np.int32), np.array([0, 3]), np.array([3, 5]))
    assert labels.dtype == np.int32
    assert labels[0] == labels[3] == labels[4] == labels[5]
    assert len(set(labels.tolist())) == 3
    np.testing.assert_array_equal(labels[labels], labels)  # a label is a member of its component


def test_merge_of_nothing_new_changes_nothing():
    labels = np.array([0, 0, 2], np.int32)
    assert merge(labels, np.array([1, 2]), np.array([0, 2])) is labels
    assert merge(labels, np.array([], int), np.array([], int)) is labels


def test_merge_equals_joining_edge_by_edge():
    rng = np.random.default_rng(0)
    slow, labels = np.arange(200), np.arange(200, dtype=np.int32)
    for _ in range(5):
        left, right = rng.integers(0, 200, (2, 30))
        labels = merge(labels, left, right)
        for one, other in zip(left, right, strict=True):
            slow[slow == slow[other]] = slow[one]
        assert (
            len(np.unique(np.stack([slow, labels]), axis=1).T) == len(set(slow.tolist())) == len(set(labels.tolist()))
        )
