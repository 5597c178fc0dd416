// data: []
module.exports = {
  handler() {
    const wrong = [], e = new TextEncoder();
    const is = (name, got, wanted) => { if (JSON.stringify(got) !== JSON.stringify(wanted)) wrong.push([name, got, wanted]); };
    const throws = (name, f, wanted) => { let got = 'nothing'; try { f(); } catch (error) { got = error.name; } is(name, got, wanted); };
    const bytes = (...list) => new Uint8Array(list);
    const decode = (list, ...options) => new TextDecoder(...options).decode(bytes(...list));
    is('ascii', [...e.encode('abc')], [97, 98, 99]);
    is('nothing', [...e.encode()], []);
    is('all lengths', [...e.encode('é€😀')], [195, 169, 226, 130, 172, 240, 159, 152, 128]);
    is('lone', [...e.encode('\ud800a\udc00')], [239, 191, 189, 97, 239, 191, 189]);
    const into = new Uint8Array(4);
    is('into', [e.encodeInto('a€é', into), [...into]], [{ read: 2, written: 4 }, [97, 226, 130, 172]]);
    is('back', decode([195, 169, 226, 130, 172, 240, 159, 152, 128, 0]), 'é€😀\0');
    is('mark', decode([239, 187, 191, 97]), 'a');
    is('mark kept', decode([239, 187, 191, 97], 'utf-8', { ignoreBOM: true }), '\ufeffa');
    is('two marks', decode([239, 187, 191, 239, 187, 191]), '\ufeff');
    is('one for each maximal prefix', decode([0x61, 0xf1, 0x80, 0x80, 0xe1, 0x80, 0xc2, 0x62, 0x80, 0x63, 0x80, 0xbf, 0x64]), 'a\ufffd\ufffd\ufffdb\ufffdc\ufffd\ufffdd');
    is('overlong', decode([0xc0, 0x80, 0xe0, 0x80, 0x80]), '\ufffd\ufffd\ufffd\ufffd\ufffd');
    is('surrogate', decode([0xed, 0xa0, 0x80]), '\ufffd\ufffd\ufffd');
    is('too high', decode([0xf4, 0x90, 0x80, 0x80]), '\ufffd\ufffd\ufffd\ufffd');
    is('cut', decode([0xe2, 0x82]), '\ufffd');
    throws('fatal', () => decode([0xff], 'utf-8', { fatal: true }), 'TypeError');
    is('fatal and right', decode([195, 169], 'utf-8', { fatal: true }), 'é');
    const d = new TextDecoder(), parts = [[0xef], [0xbb, 0xbf, 0xf0], [0x9f, 0x98], [0x80, 0x61, 0xe2]];
    is('stream', parts.map((p) => d.decode(bytes(...p), { stream: true })).concat(d.decode(), d.decode(bytes(98))), ['', '', '', '😀a', '\ufffd', 'b']);
    const offset = new Uint8Array([120, 97, 98, 120]).subarray(1, 3);
    is('views', [new TextDecoder().decode(offset), new TextDecoder().decode(new DataView(offset.buffer, 1, 1)), new TextDecoder().decode(offset.buffer)], ['ab', 'a', 'xabx']);
    is('labels', [' UTF8 ', 'latin1', 'us-ascii', 'UTF-16'].map((l) => new TextDecoder(l).encoding), ['utf-8', 'windows-1252', 'windows-1252', 'utf-16le']);
    throws('label', () => new TextDecoder('klingon'), 'RangeError');
    is('latin1', decode([0xe9, 0x80, 0x81], 'latin1'), 'é€\x81');
    is('utf-16', decode([0xff, 0xfe, 0x61, 0, 0x3d, 0xd8, 0, 0xde], 'utf-16le'), 'a😀');
    is('utf-16 bad', decode([0x3d, 0xd8, 0x61, 0, 0x62], 'utf-16le'), '\ufffda\ufffd');
    const u = new TextDecoder('utf-16le');
    is('utf-16 stream', [[0x61], [0, 0x3d, 0xd8, 0], [0xde]].map((p) => u.decode(bytes(...p), { stream: true })), ['', 'a', '😀']);
    throws('input', () => new TextDecoder().decode('text'), 'TypeError');
    return wrong;
  },
};
