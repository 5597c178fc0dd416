// Times and sizes as people read them.
const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [['day', 86400], ['hour', 3600], ['minute', 60], ['second', 1]];

export function ago(time: string | undefined, locale: string): string {
    const seconds = time ? (Date.parse(time) - Date.now()) / 1000 : NaN;
    if (Number.isNaN(seconds)) return '–';
    if (Math.abs(seconds) > 7 * 86400) return new Date(time!).toLocaleDateString(locale, { dateStyle: 'medium' });
    const [unit, size] = UNITS.find(([, s]) => Math.abs(seconds) >= s) ?? UNITS[3];
    return new Intl.RelativeTimeFormat(locale, { numeric: 'auto', style: 'short' }).format(Math.trunc(seconds / size), unit);
}

export function exactly(time: string | undefined, locale: string): string {
    return time ? new Date(time).toLocaleString(locale, { dateStyle: 'medium', timeStyle: 'medium' }) : '–';
}

export function duration(milliseconds: number | undefined, locale: string): string {
    if (typeof milliseconds !== 'number') return '–';
    const isLong = milliseconds >= 1000;
    return new Intl.NumberFormat(locale, {
        style: 'unit', unit: isLong ? 'second' : 'millisecond', unitDisplay: 'short', maximumFractionDigits: isLong ? 1 : 0,
    }).format(isLong ? milliseconds / 1000 : milliseconds);
}

export function size(bytes: number | undefined, locale: string): string {
    if (typeof bytes !== 'number') return '–';
    const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte'];
    const step = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), 3);
    if (!step) return `${new Intl.NumberFormat(locale).format(bytes)} B`;
    return new Intl.NumberFormat(locale, { style: 'unit', unit: units[step], unitDisplay: 'short', maximumFractionDigits: 1 }).format(bytes / 1000 ** step);
}
