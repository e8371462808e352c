package cloud

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// cutReader reads which lists of a page of ListMetricValues are cut. Our
// service says so beside each value; the SDK knows no such member and drops it.
type cutReader struct {
	page []struct {
		Cut *profile.Cut `json:"cut"`
	}
}

// add puts the reader before the SDK's own.
func (r *cutReader) add(o *iot.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Deserialize.Insert(middleware.DeserializeMiddlewareFunc("ReadCuts", r.read), "OperationDeserializer", middleware.After)
	})
}

func (r *cutReader) read(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	r.page = nil
	out, metadata, err := next.HandleDeserialize(ctx, in)
	response, ok := out.RawResponse.(*smithyhttp.Response)
	if err != nil || !ok {
		return out, metadata, err
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil {
		return out, metadata, fmt.Errorf("reading the answer: %w", err)
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	// What is wrong with an answer, the SDK says better.
	var answer struct {
		List json.RawMessage `json:"metricDatumList"`
	}
	if json.Unmarshal(body, &answer) != nil || json.Unmarshal(answer.List, &r.page) != nil {
		r.page = nil
	}
	return out, metadata, nil
}

// of returns the cut of a value of the page that was read last.
func (r *cutReader) of(i int) *profile.Cut {
	if i < len(r.page) {
		return r.page[i].Cut
	}
	return nil
}
