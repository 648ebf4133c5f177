"""Second derivatives: both twins against products of whole maps."""

import numpy as np
import pytest

from gpudl4 import kernels
from gpudl4.kernels import _sized

from . import scene as scenes
from .scene import Scene, full

# Blocks of derivative images: source, number of images, box in the thinned out map (row, column, rows, columns), stride.
BLOCKS = [
    ("wide", 3, (0, 0, 14, 15), 1),
    ("image", 11, (8, 10, 6, 7), 1),  # more images than a launch has blocks of threads for
    ("last image", 9, (5, 2, 5, 6), 1),
    ("wide", 2, (0, 0, 5, 5), 3),
    ("last point", 3, (1, 3, 2, 3), 3),
    ("bare image", 2, (3, 1, 5, 5), 1),
    ("image", 2, (3, 4, 2, 2), 3),
    ("point", 2, (3, 8, 2, 3), 1),
]
PAIRS = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 2), (3, 4), (4, 4), (5, 5), (3, 6), (0, 7)]
APART = [(1, 2), (4, 6), (7, 2)]  # in columns, in rows, and in both
UNUSED = 2


class Second:
    """A scene, and derivative images on it.

    Attributes
    ----------
    blocks, pairs, ranges : int64 tables
    images : list of array[n, K, ny, nx]
    jacobian : real[...]
    weights : float64[N]
    n_products, n_crosses : int
        Places in parts.
    """

    def __init__(self, scene):
        self.scene, self.images, blocks, flat, size = scene, [], [], [full(3)], 3
        for name, n, (row, column, ny, nx), stride in BLOCKS:
            images = scene.random(n, scene.datasets[scene.named[name].dataset].n_reco, ny, nx)
            self.images.append(images)
            blocks.append((scene.index(name), size, n, row, column, ny, nx, stride))
            flat += [images.ravel(), full(3)]
            size += images.size + 3
        self.jacobian = np.concatenate(flat).astype(scene.real)
        self.blocks, self.weights = np.array(blocks), scene.random(scene.n_bins, dtype="float64")
        sizes = [BLOCKS[i][1] * BLOCKS[j][1] for i, j in PAIRS]
        begins = UNUSED + np.concatenate([[0], np.cumsum(sizes)])
        self.pairs, self.n_products = np.array([(i, j, p) for (i, j), p in zip(PAIRS, begins, strict=False)]), begins[-1]
        self.ranges = UNUSED + np.concatenate([[0], np.cumsum([images.shape[0] * images.shape[1] for images in self.images])])

    def dataset(self, block):
        """Index of the dataset of a block."""
        return self.scene.named[BLOCKS[block][0]].dataset

    def on_map(self, block):
        """Its images[n, K, ny, nx] on the whole map, 0 outside its box and on the pixels between those that it has."""
        _, n, (row, column, ny, nx), stride = BLOCKS[block]
        dataset = self.scene.datasets[self.dataset(block)]
        out = np.zeros((n, dataset.n_reco, *dataset.shape))
        for y in range(ny):
            for x in range(nx):
                out[:, :, (row + y) * stride, (column + x) * stride] = self.images[block][:, :, y, x]
        return out


@pytest.fixture(params=scenes.TYPES, ids=lambda types: "-".join(types), scope="module")
def second(request):
    return Second(Scene(*request.param))


def run(twins, second, name, *middle):
    """parts of `products` or `crosses`."""
    scene = second.scene
    parts = full(1 + (second.n_products if name == "products" else second.ranges[-1]))
    tables = scene.sources_table, scene.datasets_table, scene.rows, second.blocks
    getattr(twins("fisher", **scene.types), name)(*tables, *middle, second.jacobian, parts)
    return parts


@pytest.fixture(scope="module")
def wanted(second):
    """What `products` shall write."""
    scene, out = second.scene, full(1 + second.n_products)
    for i, j, part in second.pairs:
        one, two = second.on_map(i), second.on_map(j)
        weights = np.nan_to_num(scene.on_map(second.dataset(i), second.weights))
        product = BLOCKS[i][3] ** 2 * np.einsum("kyx,ikyx,jkyx->ij", weights, one, two)
        out[part : part + product.size] = product.ravel()
    return out


def test_products(twins, second, wanted):
    parts = run(twins, second, "products", second.pairs, second.scene.starts, second.weights)
    np.testing.assert_allclose(parts, wanted, rtol=1e-12)


def test_products_of_boxes_that_share_nothing(twins, second):
    for i, j in APART:
        size = BLOCKS[i][1] * BLOCKS[j][1]
        parts = run(twins, second, "products", np.array([(i, j, UNUSED)]), second.scene.starts, second.weights)
        np.testing.assert_array_equal(parts[UNUSED : UNUSED + size], 0)


def test_crosses(twins, second):
    scene, want = second.scene, full(1 + second.ranges[-1])
    for block, begin in enumerate(second.ranges[:-1]):
        d = second.dataset(block)
        weights = np.nan_to_num(scene.on_map(d, second.weights) * scene.on_map(d, scene.template.astype(float)))
        product = BLOCKS[block][3] ** 2 * np.einsum("kyx,ikyx->ik", weights, second.on_map(block))
        want[begin : begin + product.size] = product.ravel()
    parts = run(twins, second, "crosses", second.ranges, scene.starts, second.weights, scene.template)
    np.testing.assert_allclose(parts, want, rtol=1e-12)


def test_squares(twins, second):
    scene = second.scene
    parts = full(len(scene.rows) + 1)
    twins("fisher", **scene.types).squares(scene.rows, second.weights, scene.template, parts)
    want = [(second.weights * scene.template.astype(float) ** 2)[begin : begin + length].sum() for begin, length in scene.rows]
    np.testing.assert_allclose(parts[:-1], want, rtol=1e-12)
    assert np.isnan(parts[-1])


def test_threads_give_the_same_bits(monkeypatch):
    second = Second(Scene())
    middle = {"products": (second.pairs, second.scene.starts, second.weights)}
    middle["crosses"] = second.ranges, second.scene.starts, second.weights, second.scene.template
    alone = {name: run(lambda stem, **_: kernels.cpu(stem), second, name, *own) for name, own in middle.items()}
    monkeypatch.setattr(_sized, "LARGE", 0)
    for name, own in middle.items():
        np.testing.assert_array_equal(run(lambda stem, **_: kernels.cpu(stem), second, name, *own), alone[name])
