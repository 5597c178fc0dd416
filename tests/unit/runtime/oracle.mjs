// URL and URLSearchParams of the worker against Node's own, over what each must parse and change alike.
// node oracle.mjs PROGRAM
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

// --- one worker, asked in turn ---
const environment = { LANG: 'C.UTF-8', TZ: 'UTC', JSC_useJIT: '0', JSC_useWasm: '0', JSC_useConcurrentGC: '0',
  JSC_numberOfGCMarkers: '1', JSC_useSharedArrayBuffer: '0', GIGACAGE_ENABLED: 'no', Malloc: '1', ASAN_OPTIONS: 'detect_leaks=0' };
const LOAD = 1, CALL = 2, LOADED = 17, RESULT = 20, FAILED = 1;
const worker = spawn(process.argv[2], { env: environment, stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
const socket = worker.stdio[3];
let bytes = Buffer.alloc(0);
const waiting = [];
socket.on('data', (chunk) => {
  bytes = Buffer.concat([bytes, chunk]);
  for (; bytes.length >= 16 && bytes.length >= 16 + bytes.readUInt32LE(0); bytes = bytes.subarray(16 + bytes.readUInt32LE(0))) {
    const frame = { type: bytes[4], flags: bytes[5], id: bytes.readUInt32LE(8), ref: bytes.readUInt32LE(12), body: bytes.subarray(16, 16 + bytes.readUInt32LE(0)).toString() };
    const at = waiting.findIndex((w) => w.type === frame.type);
    if (at >= 0)
      waiting.splice(at, 1)[0].resolve(frame);
  }
});
worker.on('exit', (code, signal) => {
  console.error(`the worker ended: ${code ?? signal}`);
  process.exit(1);
});
function send(type, id, body) {
  const text = Buffer.from(body), head = Buffer.alloc(16);
  head.writeUInt32LE(text.length, 0);
  head[4] = type;
  head.writeUInt32LE(id, 8);
  socket.write(Buffer.concat([head, text]));
}
const frame = (type) => new Promise((resolve) => waiting.push({ type, resolve }));
let runs = 0;
async function ask(input) {
  const answer = frame(RESULT);
  send(CALL, ++runs, JSON.stringify({ export: 'handler', input, context: { kind: 'tool', user: {} } }));
  const { flags, ref, body } = await answer;
  if (flags & FAILED)
    throw new Error(body);
  return JSON.parse(Buffer.from(body).subarray(ref).toString());
}

// --- what is compared; the same code runs on both sides ---
const shared = readFileSync(new URL('oracle-shared.js', import.meta.url), 'utf8');
const loaded = frame(LOADED);
send(LOAD, 0, `${shared}\nmodule.exports = { handler: (input) => input.map(inspectUrl) };`);
const { flags, body } = await loaded;
if (flags & FAILED)
  throw new Error(body);
const { inspectUrl } = new Function(`${shared}\nreturn { inspectUrl };`)();

// --- inputs ---
const bases = [undefined, 'http://base.example/a/b/c?q#f', 'file:///C:/dir/file', 'file://host/x', 'mailto:x@y', 'foo://h/p/q', 'https://u:p@b.example:81', 'data:text/plain,x', 'foo:/a/b'];
const fixed = `
http://example.com|http://EXAMPLE.com:80/|https://example.com:443/x|http://a:0/|http://a:65535/|http://a:65536/|http://a:b/|http://a:/x
http://user:pass@host:21/foo;bar?baz;e|http://u@h|http://:p@h|http://u:@h|http://@h|http://a@b@c/|http://:@h|http://u:p:q@h|http://@|http:@h/x
//x/y|/x/../y|./z|../../../z|?q2|#f2||/|\\\\x\\y|x:y|foo:bar|javascript:alert(1)|data:text/html,<b>?x#y z|mailto:a b?c d|http:x|http:/x|http:///x|https:x
http://1.2.3.4/|http://0x7f.1/|http://017700000001/|http://256.1.1.1/|http://1.2.3.4.5/|http://1.2.3/|http://4294967296/|http://0x/|http://1.2.3.08|http://a.1|http://a.0x1|http://1..2|http://1.2.3.4.|http://foo.09..|http://09.2.3.4
http://[::1]/|http://[1:2:3:4:5:6:7:8]/|http://[1::8]/|http://[::1.2.3.4]/|http://[::ffff:1.2.3.4]|http://[1:2]/|http://[::1|http://[:::]/|http://[::1]a/|http://[1:2:3:4:5:6:1.2.3.4]|http://[0:0:1:0:0:0:1:0]|http://[1:0:1:0:1:0:1:0]|http://[::1.2.3]|http://[::01.2.3.4]|http://[g::]|http://[1:2:3:4:5:6:7::]|http://[1::2::3]|http://[ABCD:Ef01::]|http://[:1]|http://[1:]|http://[]|http://[::1.2.3.4.5]|http://[1.2.3.4::]|http://[%31::]
http://a b/|http://a%20b/|http://a%41b/|http://a<b|http://a%00b|http://a_b-c.d/|http://a..b/|http://.a/|http://ho%st/|http://ho|st/|http://%zz/|http://%68%6f%73%74/|http://-a-/|http://a*b/|http://a'b/|http://a,b;c=d/
http://bücher.de/|http://BÜCHER.de/|http://☃.net/|http://xn--bcher-kva.de/|http://faß.de/|http://日本語。jp/|http://ﬀ.com/|http://Ａ.com/|http://a\u00adb.com/|http://xn--a/|http://ÉCOLE.fr|http://한국.kr/|http://ΑΣ.gr/|http://\u0130.com/|http://ö%C3%B6/|http://％41.com|http://你好你好|http://\u200b/|http://xn--/|http://😀.example
http://straße.de/|http://xn--strae-oqa.de/|http://ﬁ.com/|http://℀.com/|http://①.com/|http://A\u0301.com/|http://a\u0301.com/|http://ｗｗｗ．ｂｕｅｃｈｅｒ．ｄｅ|http://a\u200db.com/|http://क्\u200dष.in/|http://אב.il/|http://אa.il/|http://א1.il/|http://ab.אב/|http://xn--zca.de|http://XN--BCHER-KVA.de/|http://xn--a-ä.de/|http://xn--0.pt/|http://xn--1ug.de/|http://-ä-.de/|http://ä--b.de/|http://ab--ä.de/|http://ä..de/|http://ä_b.de/|http://ς.gr/|http://Ⅷ.de/|http://１２７．０．０．１/|http://a\u0338.com/|http://≠.com/|http://\u0327a.com/|http://ä%2e.de/|http://\u3002.de/|http://ä\u3002de/|http://ıI.tr/|http://Ƀ.com/|http://xn--iñvalid.com/|http://${'ä'.repeat(70)}.de/
http://h/%7Ea/%2e/%2E%2e/x|http://h/a/./b/..|http://h/..|http://h/a//b///|http://h/a b"<>\`{}c|http://h/é%C3%A9😀|http://h/a\tb\nc|http://h/a;b=c,d|http://h/a%2fb|http://h/a|b|http://h/\\\\a\\b|http://h/[a]|http://h/a%|http://h/%2|http://h/.%2e/a|http://h/a/%2e%2E/b
http://h/?a b"<>#'|http://h/?a'b|foo://h/?a'b|http://h/?é|http://h/?a=b&c=%zz|http://h?#|http://h?|http://h#|http://h/#a b"<>\`c|http://h/#é|http://h/?q?r#s#t|http://h/?\`{}|
file:///a/b|file://host/a|file:a|file:/a|file:///C:/x/../..|file:///C|/x|file:C:/a|file://localhost/a|file:///|file:|file:..|file:?q|file:#f|file://C:/x|file:/C|/..|file:///c:/a/../../b|file:\\\\h\\p|file:////a|file://%43%3A/|file:///%43:/|file:c:\\foo\\bar|file:///a/C:/../b|file://a b/
foo://|foo:///|foo://h:80/|foo://H/|foo://h h/|foo://[::1]/|foo://u:p@h:1/p?q#f|foo:/.//p|foo:/..//p|foo:///a/../..//b|foo:a b|foo:a/../b|foo:a?b#c|foo://h\\p|foo://é/|foo://h/é|FOO:x|f-o+o.1:x|1foo:x|foo|foo:|foo:#|foo:?|web+demo:/.//not-a-host/|foo:x ?y|foo:x #y|foo://%41/
  http://h/  |\u0000http://h/|ht\ntp://h/|http\t://h/|h\u00e9ttp://h/|://h|:|//|///|http:|http:/|http://|https://|ws://h:80/|wss://h:443/|ftp://h:21/|ftp://h/a|blob:https://h:8/id|blob:http://h|blob:x|blob:ftp://h/|about:blank
http://h/\ud800|http://h/?\udc00|http://\ud800/|http://h/#\ud83d\ude00\ud83d`.slice(1).split('\n').flatMap((line) => line.split('|'))
  .concat(['file:///C|/x', 'file:/C|/..', 'http://ho|st/', 'http://h/a|b', 'file:C|', 'file://h/C|/x', 'C|/x', '/C|\\x']).map((s) => s.replaceAll('\\\\', '\\'));

// Random ones, the same every time.
let seed = 12345;
const random = (n) => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0, Math.floor(seed / 65536) % n);
const pick = (list) => list[random(list.length)];
const pieces = ['http:', 'https:', 'file:', 'foo:', '/', '/', '//', '\\', ':', '@', '?', '#', '.', '..', '%2e', 'a', 'b', 'h.example', '[::1]', '1.2.3.4', '80', '443',
  'C:', 'C|', ' ', '%', '%41', 'é', '=', '&', '+', "'", '"', '\t', 'x:y', '0x1', '😀', '-', '_', '~', 'u:p@', ';', ','];
const made = Array.from({ length: 6000 }, () => Array.from({ length: 1 + random(8) }, () => pick(pieces)).join(''));

const setters = ['href', 'protocol', 'username', 'password', 'host', 'hostname', 'port', 'pathname', 'search', 'hash'];
const values = ['', 'x', 'http', 'https:', 'foo', 'file', 'ws:x', 'a b', 'é', 'h.example', 'h:81', 'h:', ':81', 'h:99999', 'h/p', '[::1]:8', '1.2.3', 'u@h', '80', '443', '08x', '65536', 'x80', '/', '/a/../b', '//x',
  '?a=1', '#f', 'a?b', 'a#b', "'", '\\x\\y', '%zz', '..', 'C|', ' ', '\ta\nb', '@', ':', 'http://n.example/z?y#x', 'a\ud800'];
const starts = ['http://u:p@h.example:81/a/b?q#f', 'https://h.example', 'file:///C:/x', 'file://h/x', 'foo://h/p', 'foo:opaque?q', 'foo:/p', 'mailto:x', 'foo://u@h:5/p'];

const inputs = [];
for (const text of fixed)
  for (const base of bases)
    inputs.push({ text, base });
for (const text of made)
  inputs.push({ text, base: pick(bases) });
for (const text of starts)
  for (const key of setters)
    for (const value of values)
      inputs.push({ text, set: [key, value] });
for (const value of values.concat(made.slice(0, 500)))
  inputs.push({ text: 'http://h/', params: value });

// --- comparing ---
// Where Node 18 and 20 are behind the standard: "^" in paths, the blanks at the end of an opaque path, and an opaque base, which
// lends itself to a fragment alone; setters of schemes they have no rules for; "%" beside what is beyond the BMP in a query.
function isExcused({ text, base, set, params }, ours) {
  if (`${text}${base}${set}`.includes('^'))
    return true;
  const isOpaque = (url) => /^[a-z]+:[^/\\]/.test(url ?? '') && !/^(https?|file|wss?|ftp):/.test(url);
  if (isOpaque(base) && text.includes('#') && ours.error === 'TypeError')
    return true;
  if (/^(foo|data|mailto)/.test(ours.protocol) && text.endsWith('..'))
    return true; // they drop the last slash as well
  if (params !== undefined)
    return params.includes('%') && params.includes('\u{1f600}');
  if (set !== undefined && set[0] === 'port' && !/^[0-9]/.test(set[1]))
    return true; // no digit, no change
  return (isOpaque(text.trim()) && / [?#]/.test(text)) || (set !== undefined && /^(foo|mailto):/.test(text));
}
let compared = 0, wrong = 0;
for (let from = 0; from < inputs.length; from += 500) {
  const some = inputs.slice(from, from + 500);
  const answers = await ask(some);
  some.forEach((input, i) => {
    const ours = answers[i], theirs = JSON.parse(JSON.stringify(inspectUrl(input)));
    ++compared;
    if (JSON.stringify(ours) === JSON.stringify(theirs) || isExcused(input, ours))
      return;
    if (++wrong <= 40)
      console.error(`${JSON.stringify(input)}\n  ours   ${JSON.stringify(ours)}\n  Node's ${JSON.stringify(theirs)}`);
  });
}
console.log(`${compared} URLs compared, ${wrong} different`);
process.exit(wrong === 0 ? 0 : 1);
