"""The documentation: ``make docs``, or ``sphinx-build -W -b html docs docs/_build/html``."""

import shutil
from pathlib import Path

from gruvi_cffi import __version__

project = 'gruvi_cffi'
author = 'The gruvi_cffi authors'
copyright = f'2026, {author}'  # noqa: A001 - the name that Sphinx looks for
version = release = __version__

extensions = ['sphinx.ext.autodoc']
exclude_patterns = ['_build']

autodoc_default_options = {'members': True, 'undoc-members': True, 'member-order': 'bysource'}
autodoc_typehints = 'signature'
autodoc_typehints_format = 'short'
python_maximum_signature_line_length = 100

html_theme = 'alabaster'
html_theme_options = {
    'description': 'Green threads on libuv, without monkey patching',
    'fixed_sidebar': True,
    'page_width': '1100px',
}
html_show_sourcelink = False


def show_pictures(app, what, name, obj, options, lines):
    """Make the indented parts of a module's docstring literal: they are drawn."""
    if what != 'module':
        return
    # From the source: a docstring that ends with its picture has lost the indentation by now.
    lines[:] = obj.__doc__.splitlines()
    for at in range(len(lines) - 1, 0, -1):
        if lines[at].startswith(' ') and not lines[at - 1]:
            lines[at:at] = ['::', '']
    lines.append('')


def copy_report(app, error):
    """Put the report of the benchmarks, which is HTML already, beside the pages that link to it."""
    if error is None and app.builder.format == 'html':
        folder = Path(app.srcdir, 'report')
        shutil.copytree(folder, Path(app.outdir, 'report'), dirs_exist_ok=True)


def setup(app):
    app.connect('build-finished', copy_report)
    app.connect('autodoc-process-docstring', show_pictures)
