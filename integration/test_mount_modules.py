"""What a mount without a record fetches of modules: all that a script imports, and that imports, and nothing else."""
import importlib.util, json, py_compile, sys

import pytest

import lazyimages
import mkimage
from conftest import push
from mountlib import wait_until

SECONDS = 60
VERSION = 'python%d.%d' % sys.version_info[:2]
LIBRARY = 'usr/lib/' + VERSION

PYTHON = {
    'app/main.py': 'import first\nfrom pack import thing, CONSTANT\n',
    LIBRARY + '/os.py': '',
    LIBRARY + '/first.py': 'import deep.er\n\ndef later():\n    import not_now\n',
    LIBRARY + '/deep/__init__.py': '',
    LIBRARY + '/deep/er.py': 'try:\n    import fast\nexcept ImportError:\n    import not_now\n',
    LIBRARY + '/fast.py': 'if len(__name__) > 99:\n    import not_now\n',
    LIBRARY + '/not_now.py': '',
    LIBRARY + '/site-packages/pack/__init__.py': 'from .rel import *\nCONSTANT = 1\n',
    LIBRARY + '/site-packages/pack/rel.py': 'from ..pack import more\n',
    LIBRARY + '/site-packages/pack/more.py': '',
    LIBRARY + '/site-packages/pack/thing.py': '',
    LIBRARY + '/site-packages/pack/unused.py': '',
}
PYTHON_WANTED = ['first', 'deep/__init__', 'deep/er', 'fast', 'site-packages/pack/__init__', 'site-packages/pack/rel',
                 'site-packages/pack/more', 'site-packages/pack/thing']

NODE = {
    'srv/main.mjs': 'import a from "a";\nimport "./local.js";\n',
    'srv/package.json': json.dumps({'name': 'srv'}),
    'srv/local.js': "const c = require('@s/c/sub');\n// require('unused')\n",
    'srv/node_modules/a/package.json': json.dumps({'exports': {'.': {'import': './esm.js', 'require': './cjs.js'}}}),
    'srv/node_modules/a/esm.js': 'export {x} from "b";\n',
    'srv/node_modules/a/cjs.js': '',
    'srv/node_modules/b/package.json': json.dumps({'main': 'lib'}),
    'srv/node_modules/b/lib/index.js': 'module.exports = require("./data");\n',
    'srv/node_modules/b/lib/data.json': '[]',
    'srv/node_modules/@s/c/package.json': '{}',
    'srv/node_modules/@s/c/sub.js': 'require("fs");\n',
    'srv/node_modules/unused/index.js': '',
}
NODE_UNWANTED = ['srv/main.mjs', 'srv/node_modules/a/cjs.js', 'srv/node_modules/unused/index.js']


def compiled(name, source, scratch):
    """The name and the bytes of the compiled file."""
    here = scratch / 'module.py'
    here.write_text(source)
    folder, _, last = name.rpartition('/')
    cached = importlib.util.cache_from_source('/%s/%s' % (folder, last)).lstrip('/')
    return cached, open(py_compile.compile(str(here), cfile=str(scratch / 'module.pyc'), doraise=True), 'rb').read()


def make_layer(files):
    """Files so far from each other that none comes because it lies near another."""
    layer = mkimage.Layer()
    seen = {'usr'}
    layer.f('large', mkimage.noise(3 << 20))
    layer.d('gaps')
    for name in ('usr', 'usr/bin'):                 # where interpreters are looked for
        layer.d(name)
    for n, (name, data) in enumerate(files.items()):
        parts = name.split('/')[:-1]
        for i in range(len(parts)):
            folder = '/'.join(parts[:i + 1])
            if folder not in seen:
                layer.d(folder)
                seen.add(folder)
        layer.f(name, data)
        layer.f('gaps/%d' % n, mkimage.noise(500000, b'gap%d' % n))
    return lazyimages.estargz(lazyimages.trimmed(layer.bytes()))


@pytest.fixture(scope='module')
def files(scratch):
    out = {name: data.encode() for name, data in {**PYTHON, **NODE}.items()}
    for name, source in PYTHON.items():
        if name != 'app/main.py':
            cached, data = compiled(name, source, scratch)
            out[cached] = data
    return out


@pytest.fixture(scope='module')
def image(scratch, registry, files):
    layout = mkimage.Layout(scratch / 'modules')
    layers = [make_layer(files)]
    layout.tag('x', lazyimages.image(layout, layers, config={'Env': ['PATH=/usr/bin'], 'WorkingDir': '/'}))
    where = '%s/modules:x' % registry
    push(layout.d, 'x', where)
    return where


def check(lab, image, files, start, wanted):
    """Reading START brings all that is WANTED, and no more."""
    mount = lab.mount(image, '--tls-verify=false', '--fill=off')
    assert (mount.path / start).read_bytes() == files[start]
    count = 1 + len(wanted)
    wait_until('%d files are here' % count, SECONDS, lambda: mount.present() >= count, 0.1)
    before = mount.cost()
    for name in wanted:
        assert (mount.path / name).read_bytes() == files[name], name
    assert mount.cost() == before
    assert mount.present() == count


def test_what_a_python_script_imports_comes_with_it(lab, image, files):
    wanted = [importlib.util.cache_from_source('/%s/%s.py' % (LIBRARY, name)).lstrip('/') for name in PYTHON_WANTED]
    check(lab, image, files, 'app/main.py', wanted)


def test_what_a_node_script_imports_comes_with_it(lab, image, files):
    check(lab, image, files, 'srv/main.mjs', [name for name in NODE if name not in NODE_UNWANTED])
