"""Tables and HTML that give an overview of models and their parameters, as a notebook shows them."""

import html

__all__ = ["html_table", "models_html", "parameters_table"]

_COLUMNS = {
    "type": "str",
    "name": "str",
    "value": "float",
    "unit": "str",
    "error": "float",
    "min": "float",
    "max": "float",
    "frozen": "bool",
    "link": "str",
    "prior": "str",
}


def parameters_table(parameters, labels):
    """Table of parameters with the labels of links."""
    from astropy.table import Table

    rows = []
    for name, p in zip(parameters.names, parameters, strict=True):
        prior = "" if p.prior is None else type(p.prior).__name__
        rows.append((p.type or "", name, p.value, str(p.unit), p.error, p.min, p.max, p.frozen, labels.get(id(p), ""), prior))
    table = Table(rows=rows or None, names=list(_COLUMNS), dtype=list(_COLUMNS.values()))
    table["value"].format = ".4e"
    for name in ("error", "min", "max"):
        table[name].format = ".3e"
    return table


def html_table(table, caption=""):
    """A table as plain HTML, every text escaped."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in table.colnames)
    columns = [table[name].pformat(max_lines=-1, show_name=False, show_unit=False) for name in table.colnames]
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell.strip())}</td>" for cell in row) + "</tr>" for row in zip(*columns, strict=True)
    )
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def models_html(models):
    """One row per model as plain HTML: name, kinds of the model and its parts, datasets."""
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in _model_row(model)) + "</tr>" for model in models)
    head = "<thead><tr><th>name</th><th>type</th><th>spectral</th><th>spatial</th><th>datasets</th></tr></thead>"
    return f"<table>{head}<tbody>{rows}</tbody></table>"


def _model_row(model):
    spatial = "" if model.spatial_model is None else type(model.spatial_model).__name__
    datasets = "all" if model.datasets_names is None else ", ".join(model.datasets_names)
    return model.name, type(model).__name__, type(model.spectral_model).__name__, spatial, datasets
