// /settings: who is here, as what, and for how long.
import type { Context } from '../context';
import { h } from '../dom';
import { exactly } from '../format';
import { heading } from '../shell';

export function settingsView(context: Context): void {
    const { words, main, session, options } = context;
    const { firstName, lastName, email, role, projectName, projectId } = session.identity;
    const facts: [string, string | undefined][] = [
        [words.person, [`${firstName} ${lastName}`.trim(), email].filter(Boolean).join(' · ')], [words.role, role], [words.project, projectName ?? projectId],
        [words.language, new Intl.DisplayNames(options.locale, { type: 'language' }).of(options.locale) ?? options.locale], [words.sessionEnds, session.endsAt && exactly(session.endsAt, options.locale)],
    ];
    main.append(heading(context, words.settings), h('dl', { class: 'facts-list' }, facts.map(([name, value]) => value && h('div', {}, h('dt', {}, name), h('dd', {}, value)))));
}
