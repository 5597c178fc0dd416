// Links within the page: they change the view, and opened elsewhere lead to the host's own page.
import type { Context } from '../context';
import { h } from '../dom';

type Linking = Pick<Context, 'host' | 'options' | 'go'>;

export function link({ host, options, go }: Linking, route: string, attributes: Record<string, string>, ...children: (Node | string)[]): HTMLAnchorElement {
    const href = options.prefix ? host.name + options.prefix + route : '#';
    return h('a', {
        href, ...attributes,
        on: {
            click: (event: MouseEvent) => {
                if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
                event.preventDefault();
                go(route);
            },
        },
    }, ...children);
}
