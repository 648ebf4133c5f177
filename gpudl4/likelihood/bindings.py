"""Bound models of one compile, each made once: datasets with the same energies or pixels share them.

A joint fit evaluates a spectrum once for all datasets with the same true energies, and the position of a point once for all with the same
pixels (`Evaluation.states`).
"""

__all__ = ["Bindings"]


class Bindings:
    """Makes bound models and hands them out again where the same is asked for."""

    def __init__(self):
        self._spectral, self._points, self._geoms = {}, {}, []

    def spectral(self, model, edges):
        """Integrals of a spectral model between energy edges (Quantity[L + 1])."""
        key = id(model), edges.to_value("TeV").tobytes()
        if key not in self._spectral:
            self._spectral[key] = model, model.bind_integral(edges[:-1], edges[1:])  # the model is kept, so that its id stays its own
        return self._spectral[key][1]

    def point(self, model, geom):
        """Pixel coordinates of a point model on an image geometry."""
        number = next((i for i, other in enumerate(self._geoms) if other is geom or other == geom), len(self._geoms))
        if number == len(self._geoms):
            self._geoms.append(geom)
        if (id(model), number) not in self._points:
            self._points[id(model), number] = model, model.bind_point(geom)
        return self._points[id(model), number][1]
