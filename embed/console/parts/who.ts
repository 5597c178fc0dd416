// Whoever asks stands above every secret that is asked for in a window of our own: no frame around it
// tells. Nothing in a frame.
import type { Context } from '../context';
import { h } from '../dom';
import { say } from '../words';

export function whoAsks({ session, host, words }: Context): HTMLElement[] {
    if (!host.isPopup) return [];
    return [h('div', { class: 'who' },
        h('strong', {}, say(words.askedBy, session.identity.platformName ?? new URL(host.name).host)),
        h('p', {}, words.askedByOrigin), h('code', {}, host.name))];
}
