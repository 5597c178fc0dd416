// data: []
// More is compared with Node's own URL by oracle.mjs.
async function handler() {
  const wrong = [];
  const is = (name, got, wanted) => { if (JSON.stringify(got) !== JSON.stringify(wanted)) wrong.push([name, got, wanted]); };
  const u = new URL('https://user:p%40ss@EXAMPLE.com:8443/a/./b/../c%20d?x=1&y=%C3%A9#frag');
  is('parts', [u.protocol, u.username, u.password, u.host, u.hostname, u.port, u.pathname, u.search, u.hash, u.origin],
    ['https:', 'user', 'p%40ss', 'example.com:8443', 'example.com', '8443', '/a/c%20d', '?x=1&y=%C3%A9', '#frag', 'https://example.com:8443']);
  is('params', [...u.searchParams], [['x', '1'], ['y', 'é']]);
  u.searchParams.append('z', 'a b&c');
  is('live', u.search, '?x=1&y=%C3%A9&z=a+b%26c');
  u.search = '?q=2';
  is('back', u.searchParams.get('q'), '2');
  u.searchParams.delete('q');
  is('empty', u.href, 'https://user:p%40ss@example.com:8443/a/c%20d#frag');
  is('json', JSON.stringify({ u: new URL('http://a') }), '{"u":"http://a/"}');
  is('base', new URL('../x?y', 'http://a/b/c/d').href, 'http://a/b/x?y');
  is('canParse', [URL.canParse('x'), URL.canParse('x', 'http://a')], [false, true]);
  is('parse', [URL.parse('x'), URL.parse('http://a').href], [null, 'http://a/']);
  let error = null;
  try { new URL('nope'); } catch (e) { error = e; }
  is('invalid', [error.name, error.code], ['TypeError', 'ERR_INVALID_URL']);
  const p = new URLSearchParams([['b', '2'], ['a', '1'], ['b', '3']]);
  is('has', [p.has('b', '3'), p.has('b', '4'), p.getAll('b'), p.size], [true, false, ['2', '3'], 3]);
  p.sort();
  is('sort', `${p}`, 'a=1&b=2&b=3');
  p.set('b', '€');
  is('set', `${p}`, 'a=1&b=%E2%82%AC');
  is('record', `${new URLSearchParams({ a: 1, 'b c': '~*' })}`, 'a=1&b+c=%7E*');
  is('text', [...new URLSearchParams('?a=%zz&b&=c&a+b=%2B')], [['a', '%zz'], ['b', ''], ['', 'c'], ['a b', '+']]);
  is('idna', new URL('https://Bücher.example').hostname, 'xn--bcher-kva.example');
  return wrong;
}
module.exports = { handler };
