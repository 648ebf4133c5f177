"""Colours and settings."""

import matplotlib as mpl

from gpudl4.plot.style import SOURCE_COLORS, figure_style, source_colors


def test_colours_repeat_in_order():
    names = [f"s{number}" for number in range(8)]
    colors = source_colors(names)
    assert colors["s0"] == SOURCE_COLORS[0] == colors["s6"]
    assert len(set(colors.values())) == len(SOURCE_COLORS)


def test_settings_of_the_caller_come_back():
    before = mpl.rcParams["font.size"]
    with figure_style():
        assert mpl.rcParams["xtick.direction"] == "in"
    assert mpl.rcParams["font.size"] == before
