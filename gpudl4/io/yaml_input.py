"""YAML from strangers: parsed safely, without more memory than the text deserves, and without showing the text in messages.

YAML can name a part of itself and repeat it, and repeat the repetition: a text of a kilobyte becomes an object of gigabytes when something
walks through it. `parse_yaml` counts before it makes objects.
"""

import re

import yaml

from gpudl4.core.errors import DataFileError
from gpudl4.core.reading import excerpt

__all__ = ["parse_yaml"]

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
QUOTED = re.compile(r"'[^'<\s]{4,}'|\"[^\"\s]{4,}\"")
MOST_REPEATED = 100_000  # nodes that a document may have beyond those in its text


def parse_yaml(text, where):
    """Objects of a YAML text.

    Parameters
    ----------
    text : str or bytes
        Bytes are UTF-8 or UTF-16.
    where : str
        Name of the file, for messages.

    Raises
    ------
    DataFileError
        If it does not parse, repeats itself without measure, or gives a key twice. The message has the line, and none of the text.
    """
    loader = None
    try:
        loader = LOADER(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check(node, where)
        return loader.construct_document(node)
    except DataFileError:
        raise
    except yaml.reader.ReaderError as error:
        raise DataFileError(f"{where} does not parse as YAML: position {error.position} holds no text in UTF-8 ({error.reason})") from error
    except yaml.MarkedYAMLError as error:
        lines = [mark.line + 1 for mark in (error.context_mark, error.problem_mark) if mark is not None]
        place = "".join(f", line {line}" for line in sorted(set(lines)))
        raise DataFileError(f"{where} does not parse as YAML: {_problem(error)}{place}") from error
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, UnicodeError) as error:  # numbers and dates that are none
        raise DataFileError(f"{where} does not parse as YAML ({type(error).__name__})") from error
    finally:
        if loader is not None:
            loader.dispose()


def _problem(error):
    """What is wrong, without the names that the text may have put into it."""
    return QUOTED.sub("'...'", " ".join(str(error.problem or error.context or "").split()))[:100]


def _check(root, where):
    """Count the nodes that walking through the document would meet, and look for keys that are given twice."""
    sizes, open_nodes, written = {}, set(), 0
    stack = [(root, False)]
    while stack:
        node, is_done = stack.pop()
        if is_done:
            open_nodes.discard(id(node))
            sizes[id(node)] = 1 + sum(sizes[id(child)] for child in _children(node))
            continue
        if id(node) in sizes:
            continue
        if id(node) in open_nodes:
            raise DataFileError(f"{where}: the part of the YAML text in line {node.start_mark.line + 1} contains itself")
        written += 1
        open_nodes.add(id(node))
        stack.append((node, True))
        children = _children(node)
        stack.extend((child, False) for child in children if id(child) not in sizes)
        if isinstance(node, yaml.MappingNode):
            _check_keys(node, where)
    if sizes[id(root)] > written + MOST_REPEATED:
        raise DataFileError(f"{where}: the YAML text repeats parts of itself (aliases) until it has {sizes[id(root)]:,} entries")


def _children(node):
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _check_keys(node, where):
    seen = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if (key.tag, key.value) in seen:
                raise DataFileError(f"{where}: key {excerpt(key.value)} is given twice, again in line {key.start_mark.line + 1}")
            seen.add((key.tag, key.value))
