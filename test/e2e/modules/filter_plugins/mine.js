export const filters = { shout: (text) => text.toUpperCase() };
