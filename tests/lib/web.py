"""A client of the HTTP API, one connection a request."""

import http.client
import json
import socket
import urllib.parse


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()

    @property
    def json(self):
        return json.loads(self.text)


class Web:
    def __init__(self, port, host='127.0.0.1', timeout=10):
        self.port, self.host, self.timeout = port, host, timeout

    def ask(self, method, path, body=None, headers=None):
        conn = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
        try:
            all_headers = dict(headers or {})
            if body is not None:
                body = json.dumps(body)
                all_headers.setdefault('Content-Type', 'application/json')
            conn.request(method, path, body, all_headers)
            return Answer(conn.getresponse())
        finally:
            conn.close()

    def get(self, path):
        return self.ask('GET', path)

    def reachable(self):
        try:
            return self.get('/livez').status == 200
        except (OSError, http.client.HTTPException, socket.timeout):
            return False

    def ready(self):
        try:
            return self.get('/readyz').status == 200
        except (OSError, http.client.HTTPException, socket.timeout):
            return False

    def pages(self, path, key):
        """Every item of a list, page by page."""
        items, query = [], {'limit': 1000}
        while True:
            page = self.get(path + '?' + urllib.parse.urlencode(query)).json
            items += page[key]
            if not page.get('next_page_token'):
                return items
            query['page_token'] = page['next_page_token']

    def metric(self, name):
        """A metric without labels, as a float."""
        for line in self.get('/metrics').text.splitlines():
            if line.startswith(name + ' '):
                return float(line.split()[1])
        raise AssertionError(f'no metric {name}')
