// What one side says of a URL: all its parts, after what is to be set was set; or that it is none.
function inspectUrl({ text, base, set, params }) {
  try {
    if (params !== undefined) {
      const p = new URLSearchParams(params), list = [...p];
      p.append('n', params);
      p.sort();
      return { list, text: p.toString() };
    }
    const u = base === undefined ? new URL(text) : new URL(text, base);
    if (set !== undefined)
      u[set[0]] = set[1];
    const { href, origin, protocol, username, password, host, hostname, port, pathname, search, hash } = u;
    return { href, origin, protocol, username, password, host, hostname, port, pathname, search, hash, list: [...u.searchParams] };
  } catch (error) {
    return { error: error.name };
  }
}
