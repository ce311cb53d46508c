import os, a.b as c
from . import (x,
  y)
try:
    import z
except ImportError:
    pass
