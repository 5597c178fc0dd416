// /runs, /runs/{id}: what visitors and owners had apps do.
import type { Json } from '../api';
import type { Context } from '../context';
import { h, icon } from '../dom';
import { ago, duration, exactly, size } from '../format';
import { appChoice } from '../parts/app-choice';
import { link } from '../parts/link';
import { empty, pagedList, pill, Row, row } from '../parts/list';
import { load } from '../parts/load';
import type { Place } from '../router';
import { heading } from '../shell';
import { say } from '../words';

const PAGE = 25;
const APPS_AT_ONCE = 10;

function outcomePill({ words }: Context, run: Json): HTMLElement {
    return run.outcome === 'ok' || run.outcome === 'success' ? pill('good', words.ok) : pill('bad', String(run.outcome ?? words.failed).replace(/_/g, ' '));
}

const sourceOf = ({ words }: Context, run: Json): string => ({ public: words.visitor, widget: words.owner, tool: words.tool } as Record<string, string>)[run.source] ?? run.source;

function runRow(context: Context, run: Json, app?: Json): Row {
    const { locale } = context.options;
    return {
        title: run.action ?? run.source, route: `/runs/${run.id}`, pill: outcomePill(context, run),
        facts: [app?.displayName, ago(run.startedAt, locale), duration(run.ranMs, locale), sourceOf(context, run)],
    };
}

const none = ({ words }: Context) => (): HTMLElement => empty('runs', words.noRuns, words.noRunsText);

/** One app's; with `latest`, only so many. */
export function runList(context: Context, app: Json, latest?: number): HTMLElement {
    const { api, signal, words } = context;
    return pagedList(context, words.runs, async (cursor) => {
        const page = await api.runs(app.id, latest ?? PAGE, cursor, signal);
        return latest ? { ...page, next: null } : page;
    }, (run) => runRow(context, run), none(context));
}

// The server lists runs by app: of several apps the latest of each, put in order.
function runsOfAll(context: Context, apps: Json[]): HTMLElement {
    const { api, signal, words } = context;
    const place = h('div');
    const known = apps.slice(0, APPS_AT_ONCE);
    void load(context, place, () => Promise.all(known.map((app) => api.runs(app.id, PAGE, undefined, signal))), (pages) => {
        const all = pages.flatMap((page, n) => page.data.map((run) => ({ run, app: known[n] }))).sort((a, b) => Date.parse(b.run.startedAt) - Date.parse(a.run.startedAt)).slice(0, 2 * PAGE);
        return all.length ? h('ul', { class: 'rows', 'aria-label': words.runs }, all.map(({ run, app }) => row(context, runRow(context, run, app)))) : none(context)();
    });
    return place;
}

export function runsView(context: Context, { query }: Place): void {
    const { words, main } = context;
    main.append(heading(context, words.runs), appChoice(context, '/runs', query.get('app'), (apps, chosen) => (chosen ? runList(context, chosen) : runsOfAll(context, apps))));
}

function lines(items: Json[]): HTMLElement {
    return h('ol', { class: 'log' }, items.map((line) => h('li', { class: line.level ?? '' }, typeof line === 'string' ? line : line.text ?? line.message ?? JSON.stringify(line))));
}

function details(context: Context, run: Json): HTMLElement[] {
    const { words, options } = context;
    const facts: [string, string][] = [
        [words.started, exactly(run.startedAt, options.locale)], [words.took, duration(run.ranMs, options.locale)], [words.waited, duration(run.queuedMs, options.locale)],
        [words.source, sourceOf(context, run)], [words.input, size(run.inputBytes, options.locale)], [words.output, size(run.outputBytes, options.locale)],
    ];
    const error = run.error && (typeof run.error === 'string' ? run.error : [run.error.message, run.error.stack].filter(Boolean).join('\n'));
    return [
        heading(context, say(words.runOf, run.action ?? run.source), outcomePill(context, run)),
        h('dl', { class: 'facts-list' }, facts.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value)))),
        ...(error ? [h('section', { class: 'panel' }, h('h2', {}, words.error), h('pre', {}, error))] : []),
        h('section', { class: 'panel' }, h('h2', {}, words.log), run.log?.length ? lines(run.log) : h('p', { class: 'quiet' }, words.noLog)),
    ];
}

export function runView(context: Context, { params }: Place): void {
    const { main, api, signal, words } = context;
    const content = h('div');
    if (context.options.navigation === 'all') main.append(link(context, '/runs', { class: 'way-back' }, icon('back'), words.runs));
    main.append(content);
    void load(context, content, () => api.run(params[0], signal), (run) => details(context, run));
}
