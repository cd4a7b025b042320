// Package object has an object as a JSON API gives it, of about 1 KB.
package object

import "reflect"

// Order is the object.
type Order struct {
	ID       string   `json:"id"`
	Created  string   `json:"created"`
	Status   string   `json:"status"`
	Paid     bool     `json:"paid"`
	Total    float64  `json:"total"`
	Currency string   `json:"currency"`
	Customer Customer `json:"customer"`
	Items    []Item   `json:"items"`
	Tags     []string `json:"tags"`
	Note     *string  `json:"note"`
}

// Customer is who ordered.
type Customer struct {
	ID      int64   `json:"id"`
	Name    string  `json:"name"`
	Email   string  `json:"email"`
	Address Address `json:"address"`
}

// Address is where a Customer lives.
type Address struct {
	Street  string `json:"street"`
	City    string `json:"city"`
	Zip     string `json:"zip"`
	Country string `json:"country"`
}

// Item is what was ordered.
type Item struct {
	SKU      string  `json:"sku"`
	Title    string  `json:"title"`
	Quantity int     `json:"quantity"`
	Price    float64 `json:"price"`
	InStock  bool    `json:"in_stock"`
}

// Sample returns the object that is sent.
func Sample() *Order {
	note := "Leave it with the neighbours, \"Müller\", if nobody opens."
	return &Order{
		ID:       "ord_01HZX7M3Q4T9V6W8",
		Created:  "2026-01-01T12:34:56Z",
		Status:   "shipped",
		Paid:     true,
		Total:    431.85,
		Currency: "EUR",
		Customer: Customer{
			ID:    90_071_992,
			Name:  "Wilhelmina Featherstone",
			Email: "wilhelmina@example.org",
			Address: Address{
				Street:  "27 Upper Marlborough Crescent",
				City:    "Kingston upon Hull",
				Zip:     "HU1 2AB",
				Country: "GB",
			},
		},
		Items: []Item{
			{"GRD-1001", "Garden hose, 25 m, green", 1, 39.95, true},
			{"GRD-1044", "Watering can, zinc, 9 l", 2, 24.5, true},
			{"TOL-2210", "Pruning shears, left-handed", 1, 52.9, false},
			{"SED-0007", "Seeds: wild flowers, 100 g", 10, 12, true},
			{"FUR-8120", "Bench, oak, two seats", 1, 150, true},
			{"GRD-1107", "Gloves, leather, large", 1, 20, true},
		},
		Tags: []string{"garden", "wholesale", "spring"},
		Note: &note,
	}
}

// Equal compares all of two orders.
func (o *Order) Equal(other *Order) bool { return reflect.DeepEqual(o, other) }
