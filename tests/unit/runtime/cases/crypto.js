// data: []
async function handler() {
  const wrong = [];
  const is = (name, got, wanted) => { if (got !== wanted) wrong.push([name, got, wanted]); };
  const fails = async (name, f, wanted) => { let got = 'nothing'; try { await f(); } catch (error) { got = error.name; } is(name, got, wanted); };
  const hex = (buffer) => [...new Uint8Array(buffer)].map((b) => b.toString(16).padStart(2, '0')).join('');
  const abc = new TextEncoder().encode('abc'), { subtle } = crypto;
  is('sha-1', hex(await subtle.digest('SHA-1', abc)), 'a9993e364706816aba3e25717850c26c9cd0d89d');
  is('sha-256', hex(await subtle.digest({ name: 'sha-256' }, abc)), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  is('sha-384', hex(await subtle.digest('SHA-384', abc)).slice(0, 32), 'cb00753f45a35e8bb5a03d699ac65007');
  is('sha-512', hex(await subtle.digest('SHA-512', abc.buffer)).slice(0, 32), 'ddaf35a193617abacc417349ae204131');
  is('of nothing', hex(await subtle.digest('SHA-256', new ArrayBuffer(0))).slice(0, 16), 'e3b0c44298fc1c14');
  is('an ArrayBuffer', await subtle.digest('SHA-1', abc) instanceof ArrayBuffer, true);
  await fails('md5', () => subtle.digest('MD5', abc), 'NotSupportedError');
  await fails('text', () => subtle.digest('SHA-1', 'abc'), 'TypeError');
  const uuids = new Set(Array.from({ length: 100 }, () => crypto.randomUUID()));
  is('different', uuids.size, 100);
  is('v4', [...uuids].every((u) => /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(u)), true);
  const words = new Uint32Array(8);
  is('the same array', crypto.getRandomValues(words) === words && words.some((w) => w !== 0), true);
  const part = new Uint8Array(16), middle = part.subarray(4, 12);
  crypto.getRandomValues(middle);
  is('only the part', part.subarray(0, 4).every((b) => b === 0) && part.subarray(12).every((b) => b === 0) && middle.some((b) => b !== 0), true);
  await fails('floats', () => crypto.getRandomValues(new Float64Array(1)), 'TypeMismatchError');
  await fails('too many', () => crypto.getRandomValues(new Uint8Array(65537)), 'QuotaExceededError');
  return wrong;
}
module.exports = { handler };
