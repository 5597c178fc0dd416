// data: []
module.exports = {
  handler: () => ['process', 'require', 'WebAssembly', 'SharedArrayBuffer', 'send', 'host', 'own', 'window', 'self', '$vm',
    'ShadowRealm', 'Deno', 'readFile', 'print', 'load', 'quit'].filter((name) => name in globalThis),
};
