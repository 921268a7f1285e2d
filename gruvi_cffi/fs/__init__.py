"""Files: what os, os.path and the built-in open() do, beside the other fibers."""

from .files import File as File
from .files import open as open  # noqa: A004 - as the built-in one
from .functions import DirEntry as DirEntry
from .functions import access as access
from .functions import chmod as chmod
from .functions import chown as chown
from .functions import copyfile as copyfile
from .functions import exists as exists
from .functions import isdir as isdir
from .functions import isfile as isfile
from .functions import link as link
from .functions import listdir as listdir
from .functions import lstat as lstat
from .functions import makedirs as makedirs
from .functions import mkdir as mkdir
from .functions import mkdtemp as mkdtemp
from .functions import mkstemp as mkstemp
from .functions import read_bytes as read_bytes
from .functions import read_text as read_text
from .functions import readlink as readlink
from .functions import realpath as realpath
from .functions import remove as remove
from .functions import rename as rename
from .functions import replace as replace
from .functions import rmdir as rmdir
from .functions import scandir as scandir
from .functions import stat as stat
from .functions import symlink as symlink
from .functions import truncate as truncate
from .functions import unlink as unlink
from .functions import utime as utime
from .functions import write_bytes as write_bytes
from .functions import write_text as write_text
