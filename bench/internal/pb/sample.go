package pb

// Sample returns the message that is sent. It encodes to 581 bytes, as many as
// the opaque payload has.
func Sample() *Msg {
	return &Msg{
		Id:         7_340_129_558,
		Name:       "Wilhelmina Featherstone",
		Email:      "wilhelmina.featherstone@example.org",
		Address:    "27 Upper Marlborough Crescent, Kingston upon Hull",
		Note:       "Prefers to be written to, not called. Deliveries go to the side door, please: the bell does not ring, and the dog does. A spare key is kept by the neighbours at number 29, who are at home in the evening and at night.",
		Phone:      442_079_460_123,
		Zip:        36_103,
		Age:        43,
		Created:    1_483_228_800_000,
		Updated:    1_767_225_600_123,
		Balance:    -12_345,
		Drift:      -9_876_543_210,
		Logins:     1_024,
		Orders:     77,
		Color:      0xff8800cc,
		Token:      0x0123456789abcdef,
		Offset:     -1,
		Active:     true,
		Verified:   true,
		Admin:      true,
		Subscribed: true,
		Latitude:   53.7676,
		Longitude:  -0.3274,
		Score:      0.875,
		State:      Msg_OPEN,
		Digest:     []byte("\x9b\x1c\x2d\x3e\x4f\x50\x61\x72\x83\x94\xa5\xb6\xc7\xd8\xe9\xfa\x0b\x1c\x2d\x3e\x4f\x50\x61\x72\x83\x94\xa5\xb6\xc7\xd8\xe9\xfa"),
		Tags:       []string{"newsletter", "wholesale"},
		Ratings:    []int32{5, 4, 5, 3, 5, 1000},
		Prices:     []float64{9.99, 24.5, 130, 0.75},
		Device: &Msg_Device{
			Model:   "Handset 8 Pro",
			System:  14_002,
			Seen:    1_767_225_599_000,
			Trusted: true,
		},
	}
}
