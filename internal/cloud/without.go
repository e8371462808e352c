package cloud

import (
	"context"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/device-defender/device-defender/internal/defender/effect"
)

// without reads from answers what a service takes of profiles and does nothing
// about. AWS says nothing of the kind.
type without struct{ header atomic.Pointer[string] }

func (w *without) add(o *iot.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Deserialize.Insert(middleware.DeserializeMiddlewareFunc("ReadWithout", w.read), "OperationDeserializer", middleware.After)
	})
}

func (w *without) read(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	out, metadata, err := next.HandleDeserialize(ctx, in)
	if response, ok := out.RawResponse.(*smithyhttp.Response); ok && response != nil {
		w.header.Store(new(response.Header.Get(effect.Header)))
	}
	return out, metadata, err
}

// list is what the last answer said.
func (w *without) list() []string {
	header := w.header.Load()
	if header == nil || *header == "" {
		return nil
	}
	return strings.Split(*header, ",")
}
