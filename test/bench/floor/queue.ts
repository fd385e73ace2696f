/** Where the floor's workflows wait for their worker. */
export const floorQueue = 'bench-floor';
