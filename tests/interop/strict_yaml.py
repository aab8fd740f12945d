"""YAML read strictly: a key that stands twice is an error."""

import yaml


class Strict(yaml.SafeLoader):
    """Knows of each key that it has had."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise SystemExit(f"{node.start_mark}: twice: {twice}")
        return super().construct_mapping(node, deep)


def documents(path):
    """All documents of a file."""
    with open(path, encoding="utf-8") as file:
        return list(yaml.load_all(file, Strict))
