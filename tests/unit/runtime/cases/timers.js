// data: ["sync","micro","a 1 2","tick","tick","tick","late"]
async function handler() {
  const seen = [];
  const cleared = setTimeout(() => seen.push('never'), 5);
  setTimeout((x, y) => seen.push(`a ${x} ${y}`), 10, 1, 2);
  let ticks = 0;
  const interval = setInterval(() => {
    seen.push('tick');
    if (++ticks === 3)
      clearInterval(interval);
  }, 20);
  queueMicrotask(() => seen.push('micro'));
  seen.push('sync');
  clearTimeout(cleared);
  clearTimeout(undefined);
  clearTimeout(12345);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  seen.push('late');
  return seen;
}
module.exports = { handler };
