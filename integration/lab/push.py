"""Push what lies in an OCI layout to a registry over plain HTTP, byte for byte, with the standard library.

Unlike image tools this never rewrites a manifest, and pushes indexes with whatever they list.
"""
import http.client, json, urllib.parse


class Registry:
    def __init__(self, host, repository, headers=None):
        self.host, self.repository, self.headers = host, repository, headers or {}

    def ask(self, method, path, body=None, headers=None, ok=(200, 201, 202)):
        """(status, headers, body); raises unless the status is one of OK."""
        c = http.client.HTTPConnection(self.host, timeout=20)
        try:
            c.request(method, path, body, {**self.headers, **(headers or {})})
            r = c.getresponse()
            data = r.read()
        finally:
            c.close()
        if r.status not in ok:
            raise AssertionError('%s %s: %d %s' % (method, path, r.status, data[:500]))
        return r.status, r.headers, data

    def blob(self, data, digest):
        base = '/v2/%s/blobs/' % self.repository
        if self.ask('HEAD', base + digest, ok=(200, 404))[0] == 200:
            return
        _, headers, _ = self.ask('POST', base + 'uploads/')
        to = urllib.parse.urlsplit(headers['Location'])
        query = to.query + ('&' if to.query else '') + urllib.parse.urlencode({'digest': digest})
        self.ask('PUT', to.path + '?' + query, data, {'Content-Type': 'application/octet-stream'})

    def manifest(self, data, media_type, name):
        self.ask('PUT', '/v2/%s/manifests/%s' % (self.repository, name), data, {'Content-Type': media_type})

    def delete(self, digest):
        self.ask('DELETE', '/v2/%s/manifests/%s' % (self.repository, digest))

    def image(self, layout, descriptor, tag=None):
        """Push DESCRIPTOR of LAYOUT (mkimage.Layout) and all below it; returns its digest."""
        with open(layout.path(descriptor['digest']), 'rb') as f:
            data = f.read()
        document = json.loads(data)
        for child in document.get('manifests', ()):
            self.image(layout, child)
        for blob in document.get('layers', []) + ([document['config']] if 'config' in document else []):
            with open(layout.path(blob['digest']), 'rb') as f:
                self.blob(f.read(), blob['digest'])
        self.manifest(data, descriptor['mediaType'], tag or descriptor['digest'])
        return descriptor['digest']
