// Medians over the rounds, ratios to nginx, and the verdict: a case fails when it is more than a tenth outside its target.
const TOLERANCE = 0.1;

// [at least × nginx's requests/s, at most × its CPU per request]; cases not named: any static case.
const ANY = [0.95, 1.05];
const targets = {
    'h1-1k': [1.8, 0.55], 'h1-many': [1.8, 0.55],
    'h2-1k': [2.5, 0.25], 'h2-10k': [1.6, 0.65], 'h2-100k': [1.6, 0.65], 'h2-many': [3.5, 0.4], 'h2-304': [3, 0.25],
};
const floorTargets = { 'h1-1k': 1.1, 'h1-100k': 1.3 }; // at most × the CPU of the bare loop

const median = (list) => {
    const sorted = [...list].sort((a, b) => a - b);
    const middle = Math.floor(sorted.length / 2);
    return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

function summarise(results, test, server) {
    const rows = results.filter((r) => r.test === test && r.server === server);
    if (rows.length === 0) return undefined;
    const of = (f) => median(rows.map(f));
    return { perSecond: of((r) => r.perSecond), p50: of((r) => r.p50), p99: of((r) => r.p99), cpu: of((r) => (r.cpu / r.requests) * 1e6),
        errors: rows.reduce((sum, r) => sum + r.errors, 0) };
}

/** Prints the table; true when every target is met. */
export function printSummary(results, tests) {
    if (results.length === 0) return true;
    const servers = [...new Set(results.map((r) => r.server))].sort((a, b) => (a === 'nginx' ? -1 : b === 'nginx' ? 1 : 0));
    const failures = [];
    console.log(`\n${'case'.padEnd(10)}${'server'.padEnd(8)}${'req/s'.padStart(9)}${'p50 us'.padStart(9)}${'p99 us'.padStart(9)}${'cpu us/req'.padStart(12)}` +
        ` |${'req/s x'.padStart(8)}${'cpu x'.padStart(7)}${'p99 x'.padStart(7)}  errors`);
    for (const test of tests) {
        const nginx = summarise(results, test, 'nginx');
        for (const server of servers) {
            const s = summarise(results, test, server);
            if (!s) continue;
            const ratio = nginx ? { rate: s.perSecond / nginx.perSecond, cpu: s.cpu / nginx.cpu, p99: s.p99 / nginx.p99 } : undefined;
            let verdict = '';
            if (server === 'stoa') {
                const wrong = [];
                if (ratio) {
                    const [rate, cpu] = targets[test.name] ?? ANY;
                    if (ratio.rate < rate * (1 - TOLERANCE)) wrong.push(`req/s below ${rate} x`);
                    if (ratio.cpu > cpu * (1 + TOLERANCE)) wrong.push(`cpu above ${cpu} x`);
                }
                const floor = summarise(results, test, 'floor');
                if (floor && floorTargets[test.name] && s.cpu / floor.cpu > floorTargets[test.name] * (1 + TOLERANCE)) {
                    wrong.push(`cpu ${(s.cpu / floor.cpu).toFixed(2)} x the floor's, above ${floorTargets[test.name]} x`);
                }
                if (s.errors) wrong.push(`${s.errors} errors`);
                verdict = wrong.length ? `MISSED: ${wrong.join(', ')}` : 'met';
                failures.push(...wrong.map((w) => `${test.name}: ${w}`));
            }
            console.log(`${test.name.padEnd(10)}${server.padEnd(8)}${s.perSecond.toFixed(0).padStart(9)}${s.p50.toFixed(0).padStart(9)}${s.p99.toFixed(0).padStart(9)}` +
                `${s.cpu.toFixed(2).padStart(12)} |${ratio ? `${ratio.rate.toFixed(2).padStart(8)}${ratio.cpu.toFixed(2).padStart(7)}${ratio.p99.toFixed(2).padStart(7)}` : ''}` +
                `  ${s.errors || ''} ${verdict}`);
        }
    }
    if (servers.includes('stoa')) console.log(failures.length ? `\n${failures.length} targets missed` : '\nevery target met');
    return failures.length === 0;
}

/** Prints what is not a rate; true when every target is met. */
export function printMoments(moments, apps, results) {
    if (Object.keys(moments).length === 0) return true;
    const peak = Math.max(0, ...results.filter((r) => r.server === 'stoa').map((r) => r.memory));
    const rows = [
        ['cold start, empty data directory to first 200', moments.coldStart, 's', 1e-3, 5],
        [`start with ${apps} apps`, moments.warmStart, 's', 1e-3],
        [`server process at rest, ${apps} apps`, moments.atRest, 'MB', 1 / (1 << 20), 60],
        ['PostgreSQL and supervisor beside it', moments.others, 'MB', 1 / (1 << 20)],
        ['an idle TLS connection, one of three thousand more', moments.perConnection, 'KB', 1 / 1024, 16],
        ['an idle TLS connection, one of the first thousand', moments.perFirst, 'KB', 1 / 1024],
        ['deploy to visible', moments.deploy, 's', 1e-3, 1],
        ['server process, most under load', peak || undefined, 'MB', 1 / (1 << 20)],
    ];
    let good = true;
    console.log('');
    for (const [what, value, unit, factor, limit] of rows) {
        if (value === undefined) continue;
        const shown = value * factor;
        const bad = limit !== undefined && shown > limit * (1 + TOLERANCE);
        if (bad) good = false;
        console.log(`${what.padEnd(48)}${shown.toFixed(2).padStart(9)} ${unit}${limit === undefined ? '' : bad ? `   MISSED: at most ${limit}` : '   met'}`);
    }
    return good;
}
