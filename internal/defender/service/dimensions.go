package service

import (
	"fmt"
	"slices"
	"time"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/store"
)

type storedDimension struct {
	Type         string    `json:"type"`
	StringValues []string  `json:"stringValues"`
	Token        string    `json:"token"` // clientRequestToken of the call that created it
	Created      time.Time `json:"created"`
	Modified     time.Time `json:"modified"`
}

// dimensionAnswer is the answer of DescribeDimension and UpdateDimension.
type dimensionAnswer struct {
	Name         string        `json:"name"`
	ARN          string        `json:"arn"`
	Type         string        `json:"type"`
	StringValues []string      `json:"stringValues"`
	Created      awsrest.Epoch `json:"creationDate"`
	Modified     awsrest.Epoch `json:"lastModifiedDate"`
}

func (s *Service) dimensionAnswer(name string, d *storedDimension) dimensionAnswer {
	return dimensionAnswer{name, s.dimensionARN(name), d.Type, d.StringValues, awsrest.Epoch(d.Created), awsrest.Epoch(d.Modified)}
}

func (s *Service) dimensionARN(name string) string {
	return profile.DimensionARN(s.options.Region, s.options.Account, name)
}

// getDimension reads a dimension that has to be there.
func getDimension(view *store.Reader, name string) (*storedDimension, error) {
	return tableDimensions.require(view, name, "Dimension %s does not exist")
}

// createDimension creates a dimension. A call that is repeated, with its token,
// is answered as the first; a token serves for only one dimension.
func (s *Service) createDimension(r *awsrest.Request) (any, error) {
	name := r.Name("name")
	var in struct {
		Type         *string  `json:"type"`
		StringValues []string `json:"stringValues"`
		Tags         []tag    `json:"tags"`
		Token        *string  `json:"clientRequestToken"`
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	switch {
	case in.Type == nil:
		return nil, awsrest.Missing("type")
	case in.StringValues == nil:
		return nil, awsrest.Missing("stringValues")
	}
	if err := checkToken(in.Token); err != nil {
		return nil, err
	}
	document := profile.Dimension{Name: name, Type: *in.Type, StringValues: in.StringValues, Tags: plainTags(in.Tags)}
	if err := checkProblems(document.Check()); err != nil {
		return nil, err
	}
	arn := s.dimensionARN(name)
	err := s.write(r.Context(), func(tx *store.Tx) error {
		count := 0
		for there, err := range tableDimensions.Scan(&tx.Reader, store.Range{}) {
			if err != nil {
				return err
			}
			other, there := there.Key, there.Value
			same := there.Token == *in.Token && there.Type == *in.Type && slices.Equal(there.StringValues, in.StringValues)
			switch {
			case other == name && same:
				return nil
			case other == name:
				return awsrest.AlreadyExists(fmt.Sprintf("Dimension %s already exists", name), name, arn)
			case there.Token == *in.Token:
				return awsrest.AlreadyExists(fmt.Sprintf("Dimension %s was created with the same clientRequestToken", other), other, s.dimensionARN(other))
			}
			count++
		}
		if count >= profile.MaxDimensions {
			return awsrest.LimitExceeded(fmt.Sprintf("The account has %d dimensions, and can have no more", count))
		}
		if _, err := bump(tx, metaRules); err != nil {
			return err
		}
		now := s.now()
		if err := tableDimensions.Put(tx, name, storedDimension{*in.Type, in.StringValues, *in.Token, now, now}); err != nil {
			return err
		}
		return putTags(tx, arn, in.Tags)
	})
	if err != nil {
		return nil, err
	}
	return nameAndARN{name, arn}, nil
}

func (s *Service) describeDimension(r *awsrest.Request) (any, error) {
	name := r.Name("name")
	stored, err := readNamed(s, r, name, getDimension)
	if err != nil {
		return nil, err
	}
	return s.dimensionAnswer(name, stored), nil
}

func (s *Service) updateDimension(r *awsrest.Request) (any, error) {
	name := r.Name("name")
	var in struct {
		StringValues []string `json:"stringValues"`
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	if in.StringValues == nil {
		return nil, awsrest.Missing("stringValues")
	}
	var stored *storedDimension
	err := s.write(r.Context(), func(tx *store.Tx) (err error) {
		if stored, err = getDimension(&tx.Reader, name); err != nil {
			return err
		}
		document := profile.Dimension{Name: name, Type: stored.Type, StringValues: in.StringValues}
		if err := checkProblems(document.Check()); err != nil {
			return err
		}
		if _, err := bump(tx, metaRules); err != nil {
			return err
		}
		stored.StringValues, stored.Modified = in.StringValues, s.now()
		if err := tableDimensions.Put(tx, name, *stored); err != nil {
			return err
		}
		using, err := profilesUsing(&tx.Reader, "", name)
		if err != nil {
			return err
		}
		for _, user := range using {
			if err := s.profileChanged(tx, user); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s.dimensionAnswer(name, stored), nil
}

// deleteDimension deletes a dimension that no profile uses. One that isn't
// there is deleted already.
func (s *Service) deleteDimension(r *awsrest.Request) (any, error) {
	name := r.Name("name")
	return struct{}{}, s.write(r.Context(), func(tx *store.Tx) error {
		using, err := profilesUsing(&tx.Reader, "", name)
		if err != nil {
			return err
		}
		if err := checkUnused("Dimension "+name, using); err != nil {
			return err
		}
		if _, err := bump(tx, metaRules); err != nil {
			return err
		}
		if err := tableDimensions.Delete(tx, name); err != nil {
			return err
		}
		return deleteTags(tx, s.dimensionARN(name))
	})
}

func (s *Service) listDimensions(r *awsrest.Request) (any, error) {
	return listNames(s, r, "dimensionNames", tableDimensions)
}
