"""Gradient-boosted regression trees over the colours of single pixels: the peer that a translator has to beat.

Three features of 64 levels each, so that pixels of equal colour are one weighted case and a fitted model is a table of
64 x 64 x 64 colours. Squared loss, exact splits, grown level by level.
"""

from dataclasses import dataclass

import numpy as np

LEVELS = 64
SHIFT = 2  # 8 bit to 6 bit


@dataclass(frozen=True, slots=True)
class BoostedTrees:
    """How trees are grown.

    Args:
        trees, depth: Their number and their levels of splits.
        rate: Share of each tree's step that is taken.
        least: Pixels that a leaf needs.
    """

    trees: int = 200
    depth: int = 5
    rate: float = 0.1
    least: int = 20

    def fit(self, rgb: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Returns the table of predictions by colour, float32 `(64, 64, 64)`.

        Args:
            rgb: uint8 `(pixels, 3)`.
            target: `(pixels,)`.
        """
        colours, code = np.unique(_codes(rgb), return_inverse=True)
        weight = np.bincount(code).astype(np.float64)
        mean = np.bincount(code, weights=target) / weight
        features = np.stack(np.unravel_index(colours, (LEVELS,) * 3))  # (3, colours)
        start = float(np.average(mean, weights=weight))
        table = np.full((LEVELS,) * 3, start)
        fitted = np.full(len(colours), start)
        for _ in range(self.trees):
            leaves, values = self._grow(features, weight, mean - fitted, table)
            fitted += self.rate * values[leaves]
        return table.astype(np.float32)

    def _grow(
        self, features: np.ndarray, weight: np.ndarray, residual: np.ndarray, table: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Grows one tree, adds it to the table; returns each colour's leaf and the leaves' values."""
        boxes = [np.array([[0, LEVELS]] * 3)]
        node = np.zeros(len(weight), int)
        for _ in range(self.depth):
            feature, threshold, gain = self._splits(features, weight, residual, node, len(boxes))
            children, renumbered = [], node.copy()
            for index, box in enumerate(boxes):
                place = len(children)
                if gain[index] <= 1e-9:
                    children.append(box)
                    renumbered[node == index] = place
                    continue
                axis, edge = feature[index], threshold[index] + 1
                left, right = box.copy(), box.copy()
                left[axis, 1] = right[axis, 0] = edge
                children += [left, right]
                inside = node == index
                renumbered[inside] = place + (features[axis, inside] >= edge)
            boxes, node = children, renumbered
        total = np.bincount(node, weights=weight, minlength=len(boxes))
        values = np.bincount(node, weights=weight * residual, minlength=len(boxes)) / np.maximum(total, 1)
        for box, value in zip(boxes, values):
            table[tuple(slice(low, high) for low, high in box)] += self.rate * value
        return node, values

    def _splits(
        self, features: np.ndarray, weight: np.ndarray, residual: np.ndarray, node: np.ndarray, nodes: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns the best feature, threshold (the last level of the left) and gain of each node."""
        gains = np.empty((3, nodes, LEVELS))
        for axis in range(3):
            place = node * LEVELS + features[axis]
            count = np.bincount(place, weights=weight, minlength=nodes * LEVELS).reshape(nodes, LEVELS)
            total = np.bincount(place, weights=weight * residual, minlength=nodes * LEVELS).reshape(nodes, LEVELS)
            left_count, left_sum = count.cumsum(1), total.cumsum(1)
            right_count, right_sum = left_count[:, -1:] - left_count, left_sum[:, -1:] - left_sum
            gain = left_sum**2 / np.maximum(left_count, 1) + right_sum**2 / np.maximum(right_count, 1)
            gain -= left_sum[:, -1:] ** 2 / np.maximum(left_count[:, -1:], 1)
            gains[axis] = np.where((left_count >= self.least) & (right_count >= self.least), gain, 0)
        flat = gains.transpose(1, 0, 2).reshape(nodes, -1)
        best = flat.argmax(1)
        return best // LEVELS, best % LEVELS, flat[np.arange(nodes), best]


def look_up(table: np.ndarray, rgb: np.ndarray) -> np.ndarray:
    """Returns the predictions of a fitted table for uint8 RGB of any shape `(..., 3)`."""
    return table.reshape(-1)[_codes(rgb.reshape(-1, 3))].reshape(rgb.shape[:-1])


def _codes(rgb: np.ndarray) -> np.ndarray:
    red, green, blue = (rgb >> SHIFT).astype(np.int64).T
    return (red * LEVELS + green) * LEVELS + blue
