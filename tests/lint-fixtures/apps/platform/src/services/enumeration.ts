export enum Colour { // ! lint/style/noEnum
  Red = 'red',
}
