"""Numbers and text of a dataset's summary: what `info_dict`, ``print`` and a notebook show."""

import html

import numpy as np

from gpudl4.core.errors import GPUDL4Error

__all__ = ["as_html", "as_text", "exposure_range", "on_off_sums", "predicted_sums"]


def predicted_sums(dataset, select):
    """Sums over selected bins: counts, excess, sqrt_ts, background, npred, npred_background, npred_signal.

    Parameters
    ----------
    dataset : MapDataset
    select : boolean array or slice
        Bins to sum.
    """
    sums = dict.fromkeys(("excess", "sqrt_ts", "background", "npred", "npred_background", "npred_signal"), np.nan)
    counts = 0.0 if dataset.counts is None else float(dataset.counts.data[select].sum(dtype=float))
    sums = {"counts": int(counts) if np.isfinite(counts) else counts, **sums}
    signal = dataset.npred_signal() if _has_sky_model(dataset) else None
    background = dataset.npred_background()
    if background is not None:
        sums["npred_background"] = float(background.data[select].sum(dtype=float))
        sums["background"] = float(dataset.background.data[select].sum(dtype=float))
        if dataset.counts is not None:
            sums["excess"], sums["sqrt_ts"] = dataset._excess_and_significance(select)
    if signal is not None:
        sums["npred_signal"] = float(signal.data[select].sum(dtype=float))
    parts = [part.data for part in (signal, background) if part is not None]
    if parts:
        total = sum(parts)
        sums["npred"] = float(total.clip(0)[select].sum(dtype=float))
    return sums


def on_off_sums(dataset, select):
    """Sums over selected bins of a dataset with off counts: counts_off, acceptance, acceptance_off (acceptance / alpha), alpha."""
    off, acceptance, alpha = 0.0, 1.0, np.nan
    if dataset.counts_off is not None:
        off = float(dataset.counts_off.data[select].sum(dtype=float))
    if dataset.acceptance is not None:
        acceptance = float(dataset.acceptance.data[select].sum(dtype=float))
    if dataset.acceptance_off is not None and off > 0:
        alpha = float(dataset.background.data[select].sum(dtype=float)) / off
    sums = {"counts_off": int(off) if np.isfinite(off) else off, "acceptance": acceptance}
    return {**sums, "acceptance_off": acceptance / alpha if alpha else np.nan, "alpha": alpha}


def _has_sky_model(dataset):
    from gpudl4.models import FoVBackgroundModel

    return any(not isinstance(model, FoVBackgroundModel) for model in dataset.models or ())


def exposure_range(dataset):
    """Smallest and largest exposure over pixels in mask_safe where it is positive (over all pixels if there are none), as quantities."""
    import astropy.units as u

    if dataset.exposure is None:
        return np.nan * u.Unit("cm2 s"), np.nan * u.Unit("cm2 s")
    data = dataset.exposure.data
    used = data > 0
    if dataset.mask_safe is not None:
        used = used & dataset.mask_safe_image.data
    values = data[used] if bool(used.any()) else data
    return float(values.min()) * dataset.exposure.unit, float(values.max()) * dataset.exposure.unit


_ROWS = (
    (("Total counts", "counts", ".0f"), ("Total background counts", "background", ".2f"), ("Total excess counts", "excess", ".2f")),
    (
        ("Predicted counts", "npred", ".2f"),
        ("Predicted background counts", "npred_background", ".2f"),
        ("Predicted excess counts", "npred_signal", ".2f"),
    ),
    (("Exposure min", "exposure_min", ".2e"), ("Exposure max", "exposure_max", ".2e")),
    (("Number of total bins", "n_bins", "d"), ("Number of fit bins", "n_fit_bins", "d")),
    (("Total counts_off", "counts_off", ".0f"), ("Acceptance", "acceptance", ".0f"), ("Acceptance off", "acceptance_off", ".0f")),
    (("Fit statistic type", "stat_type", ""), ("Fit statistic value (-2 log(L))", "stat_sum", ".2f")),
)


def _measured(dataset):
    """What can be said of a dataset without any prediction: sums of counts inside mask_safe, the exposure and numbers of bins."""
    info = dict(zip(("exposure_min", "exposure_max"), exposure_range(dataset), strict=True))
    select = slice(None) if dataset.mask_safe is None else dataset.mask_safe.data
    for name in ("counts", "counts_off"):
        field = getattr(dataset, name, None)
        if field is not None:
            info[name] = float(field.data[select].sum(dtype=float))
    mask = dataset.mask
    info["n_bins"] = 0 if dataset.counts is None else int(dataset.counts.data.size)
    return {**info, "n_fit_bins": 0 if mask is None else int(mask.data.sum()), "stat_type": dataset.stat_type}


def _blocks(dataset):
    """Groups of (label, text) pairs, and a remark if predictions are not possible."""
    remark = ""
    try:
        info = dataset.info_dict()
    except GPUDL4Error as error:
        info, remark = _measured(dataset), f"The summary is incomplete: {error}"
    blocks = [[("Name", dataset.name)]]
    if dataset.backend.name != "numpy":
        blocks[0].append(("Device", dataset.backend.device))
    rows = [[(label, format(info[key], form)) for label, key, form in group if key in info] for group in _ROWS]
    blocks += [group for group in rows if group]
    models = dataset.models
    parameters = [] if models is None else models.parameters
    free = [] if models is None else models.parameters.free_unique_parameters
    counts = (("Number of models", models or ()), ("Number of parameters", parameters), ("Number of free parameters", free))
    blocks.append([(label, str(len(items))) for label, items in counts])
    return blocks, remark


def as_text(dataset):
    """Summary in plain text, with the models below it."""
    blocks, remark = _blocks(dataset)
    lines = [type(dataset).__name__, "-" * len(type(dataset).__name__), ""]
    for block in blocks:
        lines += [f"  {label:32}: {text}" for label, text in block] + [""]
    if remark:
        lines += [f"  {remark}", ""]
    if dataset.models:
        lines += [f"  {line}" for line in str(dataset.models).split("\n")[2:]]
    return "\n".join(lines)


def as_html(dataset):
    """Summary as a table for notebooks, with the models below it."""
    blocks, remark = _blocks(dataset)
    rows = "".join(
        f"<tr><td style='text-align:left'>{html.escape(label)}</td><td style='text-align:left'>{html.escape(text)}</td></tr>"
        for block in blocks
        for label, text in block
    )
    parts = [f"<b>{type(dataset).__name__}</b><table>{rows}</table>"]
    if remark:
        parts.append(f"<p>{html.escape(remark)}</p>")
    if dataset.models:
        text = "\n".join(str(dataset.models).split("\n")[2:])
        parts.append(f"<details><summary>Models</summary><pre>{html.escape(text)}</pre></details>")
    return "".join(parts)
