//go:build race

package samples_test

const raceEnabled = true
