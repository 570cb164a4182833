"""Connected components that grow: labels of nodes, into which edges are merged batch by batch."""

import numpy as np


def merge(labels: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Returns the labels after joining `left[i]` with `right[i]` for all i.

    Args:
        labels: int32 `(n,)`: for each node one member of its component, the same for all members.
        left, right: Nodes, integers `(edges,)`.
    """
    left, right = labels[left], labels[right]
    apart = left != right
    left, right = left[apart], right[apart]
    if not len(left):
        return labels
    from scipy import sparse  # slow to import, and small builds join nothing

    touched = np.zeros(len(labels), dtype=bool)
    touched[left] = touched[right] = True
    nodes = np.flatnonzero(touched).astype(np.int32)
    place = np.empty(len(labels), dtype=np.int32)
    place[nodes] = np.arange(len(nodes), dtype=np.int32)
    ones = np.ones(len(left), dtype=bool)
    graph = sparse.coo_array((ones, (place[left], place[right])), shape=(len(nodes), len(nodes)))
    count, parts = sparse.csgraph.connected_components(graph, directed=False)
    smallest = np.full(count, len(labels), dtype=np.int32)
    np.minimum.at(smallest, parts, nodes)
    moved = np.arange(len(labels), dtype=np.int32)
    moved[nodes] = smallest[parts]
    return moved[labels]
