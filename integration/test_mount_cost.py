"""What a mount must not do for each request: figures would depend on the machine, counts do not."""
import os

import mkimage

FILES = 3000


def switches(pid):
    """How often the process went to sleep by itself."""
    with open('/proc/%d/status' % pid) as f:
        return next(int(line.split()[1]) for line in f if line.startswith('voluntary_ctxt_switches'))


def test_requests_do_not_wake_the_supervisor(lab, place):
    layer = mkimage.Layer().d('d')
    for n in range(FILES):
        layer.f('d/%d' % n)
    layout = mkimage.Layout(place / 'layout')
    layout.tag('x', layout.image([mkimage.pack(layer.bytes())]))
    mount = lab.mount('oci:%s:x' % layout.d)
    asked, slept = mount.status()['kernel']['lookups'], switches(mount.supervisor)
    for n in range(FILES):
        os.stat(mount.path / 'd' / str(n))
    assert mount.status()['kernel']['lookups'] - asked >= FILES
    assert switches(mount.supervisor) - slept < FILES / 10
