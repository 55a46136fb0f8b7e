// How long a test waits for what comes after an answer: a refund, a row, an alarm. A busy machine takes its time, and what
// never comes is late by any measure.

export const PATIENT = { timeout: 20_000, interval: 50 };
