package service

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/device-defender/device-defender/internal/defender/access"
	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// maxAccessKeys bounds what is looked through for a name.
const maxAccessKeys = 1000

// storedAccessKey is an access key. A signature can be checked only with the
// secret itself, so that it is kept as it is.
type storedAccessKey struct {
	Name    string    `json:"name"`
	Role    string    `json:"role"`
	Secret  string    `json:"secret"`
	Created time.Time `json:"created"`
}

// newAccessKey makes an id of 80 random bits and a secret of 240.
func newAccessKey() (id, secret string) {
	var b [40]byte
	rand.Read(b[:])
	return access.KeyPrefix + base32.StdEncoding.EncodeToString(b[:10]), base64.RawURLEncoding.EncodeToString(b[10:])
}

// accessKey is an access key in an answer. The secret is there only when it is
// new.
type accessKey struct {
	Name    string        `json:"accessKeyName"`
	ID      string        `json:"accessKeyId"`
	Role    string        `json:"role"`
	Created awsrest.Epoch `json:"creationDate"`
	Secret  string        `json:"secretAccessKey,omitempty"`
}

// checkKeys refuses access keys where there is no authentication: anybody on this
// machine could make one, and use it when there is authentication later.
func (s *Service) checkKeys() error {
	if !s.options.Authentication {
		return awsrest.Invalid("The service runs without authentication, and has access keys only with it: see serve --auth")
	}
	return nil
}

func (s *Service) createAccessKey(r *awsrest.Request) (any, error) {
	name := r.Name("accessKeyName")
	var in struct {
		Role *string `json:"role"`
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	if in.Role == nil {
		return nil, awsrest.Missing("role")
	}
	if err := checkRole(*in.Role); err != nil {
		return nil, err
	}
	var out accessKey
	err := s.changeKeys(r.Context(), func(tx *store.Tx, keys map[string]keyEntry) error {
		if _, there := keys[name]; there {
			return awsrest.AlreadyExists(fmt.Sprintf("Access key %s already exists", name), name, s.userARN(name))
		}
		if len(keys) >= maxAccessKeys {
			return awsrest.LimitExceeded(fmt.Sprintf("There are %d access keys, the limit is %d", len(keys), maxAccessKeys))
		}
		var err error
		out, err = s.putKey(tx, name, *in.Role)
		return err
	})
	return s.changedKey(r, out, err)
}

func (s *Service) rotateAccessKey(r *awsrest.Request) (any, error) {
	name := r.Name("accessKeyName")
	var out accessKey
	err := s.changeKeys(r.Context(), func(tx *store.Tx, keys map[string]keyEntry) error {
		key, there := keys[name]
		if !there {
			return noSuchKey(name)
		}
		if err := tableAccessKeys.Delete(tx, key.id); err != nil {
			return err
		}
		var err error
		out, err = s.putKey(tx, name, key.Role)
		return err
	})
	return s.changedKey(r, out, err)
}

func (s *Service) deleteAccessKey(r *awsrest.Request) (any, error) {
	name := r.Name("accessKeyName")
	err := s.changeKeys(r.Context(), func(tx *store.Tx, keys map[string]keyEntry) error {
		key, there := keys[name]
		if !there {
			return noSuchKey(name)
		}
		if key.Role == roleAdmin && admins(keys) == 1 {
			return awsrest.Invalid(fmt.Sprintf("%s is the only access key of the role admin: create another first", name))
		}
		return tableAccessKeys.Delete(tx, key.id)
	})
	if err != nil {
		return nil, err
	}
	s.log.Info("access key deleted", "name", name, "by", r.Caller)
	return struct{}{}, nil
}

func (s *Service) listAccessKeys(r *awsrest.Request) (any, error) {
	if err := s.checkKeys(); err != nil {
		return nil, err
	}
	return answerList(s, r, "accessKeys", func(view *store.Reader, after string, yield func(string, accessKey) bool) error {
		for stored, err := range tableAccessKeys.rowsAfter(view, "", after) {
			if err != nil {
				return err
			}
			key := &stored.Value
			if !yield(stored.Key, accessKey{Name: key.Name, ID: stored.Key, Role: key.Role, Created: awsrest.Epoch(key.Created)}) {
				break
			}
		}
		return nil
	})
}

// keyEntry is an access key with its id.
type keyEntry struct {
	storedAccessKey
	id string
}

// changeKeys runs change in a transaction, with the keys by name. Of two that run
// at once, one is done again.
func (s *Service) changeKeys(ctx context.Context, change func(tx *store.Tx, keys map[string]keyEntry) error) error {
	if err := s.checkKeys(); err != nil {
		return err
	}
	return s.write(ctx, func(tx *store.Tx) error {
		if _, err := bump(tx, metaAccess); err != nil {
			return err
		}
		keys := map[string]keyEntry{}
		for stored, err := range tableAccessKeys.rowsAfter(&tx.Reader, "", "") {
			if err != nil {
				return err
			}
			keys[stored.Value.Name] = keyEntry{stored.Value, stored.Key}
		}
		return change(tx, keys)
	})
}

// putKey makes a key.
func (s *Service) putKey(tx *store.Tx, name, role string) (accessKey, error) {
	id, secret := newAccessKey()
	stored := storedAccessKey{Name: name, Role: role, Secret: secret, Created: s.now()}
	return accessKey{name, id, role, awsrest.Epoch(stored.Created), secret}, tableAccessKeys.Put(tx, id, stored)
}

// changedKey answers with a key that is new.
func (s *Service) changedKey(r *awsrest.Request, key accessKey, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	s.log.Info("access key made", "name", key.Name, "role", key.Role, "id", key.ID, "operation", r.Operation.Name, "by", r.Caller)
	return key, nil
}

func noSuchKey(name string) error {
	return awsrest.NotFound(fmt.Sprintf("Access key %s not found", name))
}

// admins counts the keys of the role admin.
func admins(keys map[string]keyEntry) (n int) {
	for _, key := range keys {
		if key.Role == roleAdmin {
			n++
		}
	}
	return n
}

// userARN names the holder of an access key, as AWS names a user.
func (s *Service) userARN(name string) string {
	return fmt.Sprintf("arn:%s:iam::%s:user/%s", profile.PartitionOf(s.options.Region), s.options.Account, name)
}
