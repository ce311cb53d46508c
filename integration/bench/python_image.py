"""An eStargz image that runs: this machine's Python, its standard library, and a program of many modules."""
import os, re, subprocess, sys, sysconfig

from host_image import files_below
from measure import sh

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lab'))

import lazyimages
import mkimage
import push as lab_push

NAME, TAG = 'python', 'esgz'
COMMANDS = ['python3 -c "print(1)"', 'python3 /app/main.py']
PROGRAM = 'import argparse, asyncio, csv, email.message, html.parser, http.client, json, logging.config, sqlite3, ' \
          'unittest, urllib.request, xml.etree.ElementTree\nprint(1)\n'
PLACES = ['/usr/lib/locale/C.utf8', '/usr/share/zoneinfo']
LEFT_OUT = re.compile('/(test|tests|config-[^/]*|idlelib|ensurepip|lib2to3|pydoc_data|dist-packages)/')
SINGLE = ['/etc/passwd', '/etc/group', '/etc/ld.so.cache']


def libraries(path):
    """Files that PATH needs to run, as ldd has them."""
    done = subprocess.run(['ldd', path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return re.findall(r'(/\S+) \(0x', done.stdout)


def names():
    """Everything of the first layer, each symbolic link with what it leads to."""
    library = sysconfig.get_path('stdlib')
    found = [os.path.realpath('/bin/sh'), '/usr/bin/python3', os.path.realpath('/usr/bin/python3'), *SINGLE]
    for place in [library, *PLACES]:
        found += [path for path, _ in files_below(place) if not LEFT_OUT.search(path)]
    for path in [p for p in found if '.so' in p or '/bin/' in p]:
        found += libraries(path)
    out = {}
    for path in found:
        real = os.path.realpath(path)
        for each in (os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)), real):
            if os.path.exists(each):
                out[each] = True
    return sorted(out)


def first_layer(folder):
    path = os.path.join(folder, 'python.tar')
    sh('tar', '-c', '--numeric-owner', '--format=posix', '--pax-option=delete=atime,delete=ctime', '--no-recursion',
       '--hard-dereference', '-f', path, '-C', '/', '--null', '-T', '-',
       input=b'\0'.join(os.fsencode(n.lstrip('/')) for n in names()))
    with open(path, 'rb') as f:
        tar = f.read()
    os.unlink(path)
    return tar


def second_layer():
    layer = mkimage.Layer()
    for name in ('bin', 'lib', 'lib64', 'sbin'):
        layer.s(name, 'usr/' + name)
    layer.s('usr/bin/sh', os.path.basename(os.path.realpath('/bin/sh')))
    loader = next(p for p in libraries('/bin/sh') if p.startswith('/lib64/') or '/ld-' in p)
    if not os.path.realpath(os.path.dirname(loader)) == os.path.dirname(os.path.realpath(loader)):
        layer.d('usr/lib64').s('usr/lib64/' + os.path.basename(loader), os.path.realpath(loader))
    for name in ('app', 'proc', 'dev', 'sys', 'tmp'):
        layer.d(name)
    return layer.f('app/main.py', PROGRAM.encode()).bytes()


def push(registry, work):
    """[(NAME:TAG, command)], made and pushed if the registry does not have it."""
    image = '%s:%s' % (NAME, TAG)
    if not registry.has(image):
        folder = os.path.join(work, 'make-python')
        os.makedirs(folder, exist_ok=True)
        layout = mkimage.Layout(os.path.join(folder, 'layout'))
        layers = [lazyimages.estargz(lazyimages.trimmed(tar)) for tar in (first_layer(folder), second_layer())]
        described = lazyimages.image(layout, layers)
        lab_push.Registry(registry.address, NAME).image(layout, described, TAG)
    return [(image, command) for command in COMMANDS]
