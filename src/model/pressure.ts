/** Asked after each piece: settles when those who take what is given have caught up; undefined where they are not behind. */
export type Pressure = () => Promise<unknown> | undefined;
