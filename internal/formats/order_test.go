package formats_test

import "github.com/henrylee2cn/teleport/internal/formats"

// order is what is encoded: with a form tag for the one codec that needs its own.
type order struct {
	ID       string   `json:"id" xml:"id" form:"id"`
	Created  int64    `json:"created" xml:"created" form:"created"`
	Status   string   `json:"status" xml:"status" form:"status"`
	Paid     bool     `json:"paid" xml:"paid" form:"paid"`
	Total    float64  `json:"total" xml:"total" form:"total"`
	Customer customer `json:"customer" xml:"customer" form:"customer"`
	Items    []item   `json:"items" xml:"item" form:"items"`
	Tags     []string `json:"tags" xml:"tag" form:"tags"`
}

type customer struct {
	ID    int64  `json:"id" xml:"id" form:"id"`
	Name  string `json:"name" xml:"name" form:"name"`
	Email string `json:"email" xml:"email" form:"email"`
	City  string `json:"city" xml:"city" form:"city"`
}

type item struct {
	SKU      string  `json:"sku" xml:"sku" form:"sku"`
	Title    string  `json:"title" xml:"title" form:"title"`
	Quantity int32   `json:"quantity" xml:"quantity" form:"quantity"`
	Price    float64 `json:"price" xml:"price" form:"price"`
}

// sample returns an order of about 600 bytes of JSON.
func sample() *order {
	return &order{
		ID: "ord_01HZX7M3Q4T9V6W8", Created: 1718031845123, Status: "awaiting_shipment", Paid: true, Total: 187.45,
		Customer: customer{4711, "Zoë Müller-García", "zoe.mueller@example.com", "Zürich"},
		Items: []item{
			{"TEA-GRN-250", "Green tea, loose, 250 g", 2, 14.9},
			{"CUP-PORC-06", "Porcelain cups, set of six", 1, 89.5},
			{"KTL-STEEL-1", "Steel kettle <1 l>", 1, 62.15},
			{"SPN-BAMB-02", "Bamboo spoon", 3, 2},
		},
		Tags: []string{"gift", "priority", "fragile"},
	}
}

// sampleProto returns the same as a message of protocol buffers.
func sampleProto() *formats.Order {
	o := sample()
	m := &formats.Order{
		Id: o.ID, Created: o.Created, Status: o.Status, Paid: o.Paid, Total: o.Total, Tags: o.Tags,
		Customer: &formats.Customer{Id: o.Customer.ID, Name: o.Customer.Name, Email: o.Customer.Email, City: o.Customer.City},
	}
	for _, i := range o.Items {
		m.Items = append(m.Items, &formats.Item{Sku: i.SKU, Title: i.Title, Quantity: i.Quantity, Price: i.Price})
	}
	return m
}
