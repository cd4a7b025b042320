//go:build !race

package samples_test

const raceEnabled = false
