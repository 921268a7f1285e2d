"""A report as Markdown and as one page of HTML: the same blocks, written twice."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .tables import Table, bold

STYLE = """
:root { color-scheme: light; --ours: #12703a; --line: #dddddd; }
body { font: 16px/1.5 system-ui, sans-serif; color: #222222; max-width: 76rem; margin: 0 auto;
       padding: 0 1rem 4rem; }
h1 { line-height: 1.2; } h2 { margin-top: 3rem; border-bottom: 2px solid var(--ours); }
p, ul { max-width: 46rem; } a { color: #1f5fbf; }
nav ul { columns: 14rem; padding-left: 1.2rem; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: bold; padding: 0.3rem 0; white-space: nowrap; }
th, td { padding: 0.25rem 0.6rem; border-bottom: 1px solid var(--line); text-align: left; }
th { border-bottom: 2px solid #888888; vertical-align: bottom; }
td { min-width: 7rem; }
.number { text-align: right; white-space: nowrap; min-width: 0; }
tr.ours td { background: #eef7f0; } tr.ours b { color: var(--ours); }
tr.reached td:last-child { color: var(--ours); font-weight: bold; }
tr.missed td:last-child { color: #b02a1a; font-weight: bold; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr));
            gap: 1rem; align-items: start; margin: 1rem 0; }
.pictures img { width: 100%; height: auto; border: 1px solid var(--line); border-radius: 6px; }
summary { cursor: pointer; color: #1f5fbf; padding: 0.4rem 0; }
code { background: #f2f2f2; padding: 0 0.2rem; border-radius: 3px; }
pre { background: #f2f2f2; padding: 0.8rem; overflow-x: auto; border-radius: 6px; }
pre code { padding: 0; }
"""


@dataclass(frozen=True)
class Picture:
    """A file in the folder of the report, and in words what is to be seen."""

    file: str
    title: str


def anchor(title: str) -> str:
    """Return what GitHub makes of a heading, so that links fit both."""
    return re.sub(r'[^\w\- ]', '', title.lower()).replace(' ', '-')


class Document:
    """What is put into it, in that order. Text has `code`, **bold** and [links](where)."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._markdown = [f'# {title}\n']
        self._html = [f'<h1>{html.escape(title)}</h1>\n']

    def _add(self, markdown: str, page: str) -> None:
        self._markdown.append(markdown)
        self._html.append(page)

    def heading(self, title: str) -> None:
        self._add(f'## {title}\n', f'<h2 id="{anchor(title)}">{html.escape(title)}</h2>\n')

    def text(self, text: str) -> None:
        self._add(f'{text}\n', f'<p>{_inline(text)}</p>\n')

    def items(self, items: Sequence[str], *, contents: bool = False) -> None:
        lines = ''.join(f'<li>{_inline(item)}</li>\n' for item in items)
        page = f'<ul>\n{lines}</ul>\n'
        markdown = ''.join(f'- {item}\n' for item in items)
        self._add(markdown, f'<nav>{page}</nav>\n' if contents else page)

    def commands(self, *lines: str) -> None:
        text = '\n'.join(f'$ {line}' for line in lines)
        self._add(f'```console\n{text}\n```\n', f'<pre><code>{html.escape(text)}</code></pre>\n')

    def table(self, table: Table) -> None:
        title = f'**{table.title}**\n\n' if table.title else ''
        self._add(title + table.markdown(), table.html())

    def pictures(self, pictures: Sequence[Picture]) -> None:
        """Show them beside each other where there is room."""
        if not pictures:
            return
        markdown = '\n'.join(
            f'<img src="{each.file}" alt="{html.escape(each.title)}" width="49%">'
            for each in pictures
        )
        page = '\n'.join(
            f'<a href="{each.file}"><img loading="lazy" src="{each.file}" '
            f'alt="{html.escape(each.title)}"></a>'
            for each in pictures
        )
        self._add(markdown + '\n', f'<div class="pictures">\n{page}\n</div>\n')

    def details(self, summary: str, fill: Callable[[], object]) -> None:
        """Hide what *fill* adds until it is asked for."""
        opening = f'<details><summary>{html.escape(summary)}</summary>\n'
        self._add(opening, opening)
        fill()
        self._add('</details>\n', '</details>\n')

    def markdown(self) -> str:
        return '\n'.join(self._markdown)

    def html(self) -> str:
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<title>{html.escape(self._title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n'
            f'{"".join(self._html)}</body>\n</html>\n'
        )


def _inline(text: str) -> str:
    text = re.sub(r'`(.+?)`', r'<code>\1</code>', bold(text))
    return re.sub(r'\[(.+?)\]\((.+?)\)', r'<a href="\2">\1</a>', text)
