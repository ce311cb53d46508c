"""Medians, ratios and the limits they are held to."""
from statistics import median

# what is demanded: (text, tool, field, other tool or None, most, or None for exactly 1)
DEMANDS = [
    ('as many paths as umoci', 'rootlet', 'paths', 'umoci', None),
    ('CPU <= 1.25 x floor', 'rootlet', 'cpu', 'floor', 1.25),
    ('wall <= 0.5 x gzip', 'rootlet', 'wall', 'gzip', 0.5),
    ('CPU <= 0.25 x umoci', 'rootlet', 'cpu', 'umoci', 0.25),
    ('memory <= 100 MiB', 'rootlet', 'rss', None, 100),
    ('CPU of zlib build <= 2 x ISA-L build', 'rootlet-zlib', 'cpu', 'rootlet', 2),
]


def spread(values, digits):
    form = '%%.%df' % digits
    text = form % median(values)
    if len(values) > 1:
        text += ' (%s-%s)' % (form % min(values), form % max(values))
    return text


def print_costs(costs):
    """COSTS: {(image, tool): [Cost, ...]}"""
    print('| image | tool | n | wall s | CPU s | peak RSS MiB | paths |\n|---|---|---|---|---|---|---|')
    for (image, tool), runs in costs.items():
        cells = ['failed'] * 4
        if runs:
            cells = [spread([r.wall for r in runs], 2), spread([r.cpu for r in runs], 2),
                     '%.0f' % max(r.rss for r in runs),
                     '/'.join(str(n) for n in sorted({r.paths for r in runs}) if n) or '-']
        print('|', ' | '.join([image, tool, str(len(runs)), *cells]), '|')


def ratio(costs, image, demand):
    """What was measured for DEMAND, or None where a tool is missing."""
    _, tool, field, other, _ = demand
    mine = [getattr(r, field) for r in costs.get((image, tool), [])]
    theirs = [getattr(r, field) for r in costs.get((image, other), [])]
    if not mine or (other and not theirs):
        return None
    if not other:
        return max(mine)
    return median(mine) / median(theirs)


def is_met(value, most):
    if value is None:
        return '-'
    return 'yes' if (value == 1 if most is None else value <= most) else 'no'


def print_demands(costs):
    print('\n| image | demand | measured | met |\n|---|---|---|---|')
    for image in dict.fromkeys(i for i, _ in costs):
        for demand in DEMANDS:
            value = ratio(costs, image, demand)
            shown = '-' if value is None else '%.3g' % value
            print('|', ' | '.join([image, demand[0], shown, is_met(value, demand[4])]), '|')
